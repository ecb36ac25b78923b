//! Streams and polling: nothing to read, and what is written goes to the log, line by line, within the
//! plugin's share of lines.

use wasmtime::component::{ComponentType, Lift, LinkerInstance, Lower, Resource, Val};
use wasmtime::{Result, bail};

use super::{InputStream, IoError, Nothing, OutputStream, Pollable, answer};
use crate::bindings::wasmqtt::plugin::log::Level;
use crate::host::{Host, log};

const STDOUT: u32 = 1;
const STDERR: u32 = 2;
/// What may be written at once, in bytes.
const WRITE_MAX: usize = 4096;

#[derive(ComponentType, Lift, Lower)]
#[component(variant)]
enum StreamError {
    #[allow(dead_code)] // Nothing fails here but by being at its end.
    #[component(name = "last-operation-failed")]
    Failed(Resource<IoError>),
    #[component(name = "closed")]
    Closed,
}

/// A line that is not yet whole.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    out: Vec<u8>,
    err: Vec<u8>,
}

impl Host {
    fn print(&mut self, stream: u32, text: &[u8]) -> Result<()> {
        if text.len() > WRITE_MAX {
            bail!("it wrote {} bytes at once where {WRITE_MAX} are permitted", text.len());
        }
        for piece in text.split_inclusive(|byte| *byte == b'\n') {
            let held = self.held(stream);
            held.extend_from_slice(piece);
            if held.ends_with(b"\n") || held.len() > log::LINE_MAX {
                let line = std::mem::take(held);
                let line = String::from_utf8_lossy(&line);
                let line = line.trim_end();
                if !line.is_empty() {
                    self.print_line(stream, line);
                }
            }
        }
        Ok(())
    }

    fn held(&mut self, stream: u32) -> &mut Vec<u8> {
        if stream == STDERR { &mut self.lines.err } else { &mut self.lines.out }
    }

    fn print_line(&mut self, stream: u32, line: &str) {
        let level = if stream == STDERR { Level::Warn } else { Level::Info };
        self.say(level, line.to_owned());
        if stream == STDERR {
            // What a runtime says before it gives up.
            self.last_words = Some(log::printable(line).into_owned());
        }
    }
}

type Written = std::result::Result<(), StreamError>;

/// Defines a function if it belongs here.
pub(super) fn define(
    linker: &mut LinkerInstance<'_, Host>,
    interface: &str,
    name: &str,
) -> Result<bool> {
    match (interface, name) {
        ("cli/stdin", "get-stdin") => {
            answer(linker, name, |host, ()| host.own::<InputStream>(0))?;
        }
        ("cli/stdout", "get-stdout") => {
            answer(linker, name, |host, ()| host.own::<OutputStream>(STDOUT))?;
        }
        ("cli/stderr", "get-stderr") => {
            answer(linker, name, |host, ()| host.own::<OutputStream>(STDERR))?;
        }
        ("cli/terminal-stdin", "get-terminal-stdin")
        | ("cli/terminal-stdout", "get-terminal-stdout")
        | ("cli/terminal-stderr", "get-terminal-stderr") => {
            answer(linker, name, |_, ()| Ok(None::<Resource<Nothing>>))?;
        }
        ("io/poll", "[method]pollable.ready") => {
            answer(linker, name, |_, (_,): (Resource<Pollable>,)| Ok(true))?;
        }
        ("io/poll", "[method]pollable.block") => {
            linker.func_wrap(name, |_, (_,): (Resource<Pollable>,)| Ok(()))?;
        }
        ("io/poll", "poll") => {
            answer(linker, name, |_, (all,): (Vec<Resource<Pollable>>,)| {
                Ok((0..u32::try_from(all.len())?).collect::<Vec<u32>>())
            })?;
        }
        ("io/error", "[method]error.to-debug-string") => {
            answer(linker, name, |_, (_,): (Resource<IoError>,)| Ok(String::new()))?;
        }
        ("io/streams", _) => return stream(linker, name),
        ("filesystem/types", "filesystem-error-code")
        | ("sockets/network", "network-error-code") => {
            linker.func_new(name, |_, _, _, results| {
                if let Some(result) = results.first_mut() {
                    *result = Val::Option(None);
                }
                Ok(())
            })?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn stream(linker: &mut LinkerInstance<'_, Host>, name: &str) -> Result<bool> {
    match name {
        "[method]input-stream.read" | "[method]input-stream.blocking-read" => {
            answer(linker, name, |_, (_, _): (Resource<InputStream>, u64)| {
                Ok(Err::<Vec<u8>, _>(StreamError::Closed))
            })?;
        }
        "[method]input-stream.skip" | "[method]input-stream.blocking-skip" => {
            answer(linker, name, |_, (_, _): (Resource<InputStream>, u64)| {
                Ok(Err::<u64, _>(StreamError::Closed))
            })?;
        }
        "[method]input-stream.subscribe" => {
            answer(linker, name, |host, (_,): (Resource<InputStream>,)| host.own::<Pollable>(0))?;
        }
        "[method]output-stream.check-write" => {
            answer(linker, name, |_, (_,): (Resource<OutputStream>,)| {
                Ok(Ok::<_, StreamError>(WRITE_MAX as u64))
            })?;
        }
        "[method]output-stream.write" | "[method]output-stream.blocking-write-and-flush" => {
            answer(linker, name, |host, (to, text): (Resource<OutputStream>, Vec<u8>)| {
                host.print(to.rep(), &text)?;
                Ok(Written::Ok(()))
            })?;
        }
        "[method]output-stream.flush" | "[method]output-stream.blocking-flush" => {
            answer(linker, name, |_, (_,): (Resource<OutputStream>,)| Ok(Written::Ok(())))?;
        }
        "[method]output-stream.subscribe" => {
            answer(linker, name, |host, (_,): (Resource<OutputStream>,)| host.own::<Pollable>(0))?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}
