//! Packets that brought other brokers down, each in a file of `corpus/hostile` that says what it is.
//!
//! A file has comments, one line for each of `known:` (where it is known from; may be left out), `from:` (`stranger`
//! before CONNECT, `client` behind it), `version:` and `expect:`, an empty line, and the packets: bytes in hexadecimal,
//! text in quotes, `*COUNT` behind either or behind several in parentheses to repeat them.

use std::fs;
use std::path::{Path, PathBuf};

use wasmqtt_codec::Version;

/// Who sends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// Somebody who has not been let in.
    Stranger,
    /// Somebody who has.
    Client,
}

/// What must come of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// The connection is closed without a word, at once or when the time for a whole CONNECT is over.
    Silence,
    /// CONNACK with this code, and the end.
    ConnAck(u8),
    /// DISCONNECT with this code, where the version has one, and the end.
    Disconnect(u8),
    /// Answers, or none, and nobody is disconnected.
    Served,
}

/// One of the files.
#[derive(Debug)]
pub struct Hostile {
    /// Of the file, without its extension.
    pub name: String,
    /// Who sends it.
    pub from: From,
    /// What they speak.
    pub version: Version,
    /// What must come of it.
    pub expected: Expected,
    /// What they send.
    pub bytes: Vec<u8>,
}

/// A directory of `corpus`.
pub fn corpus(of: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(of)
}

/// All of them, by name.
pub fn all() -> Vec<Hostile> {
    let entries = fs::read_dir(corpus("hostile")).expect("corpus/hostile");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let read = |path: &PathBuf| {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        parse(&name, &fs::read_to_string(path).unwrap()).unwrap_or_else(|| panic!("{name}"))
    };
    paths.iter().map(read).collect()
}

fn parse(name: &str, text: &str) -> Option<Hostile> {
    let (head, body) = text.split_once("\n\n")?;
    let value = |key: &str| head.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
    // What is it?
    head.lines().find(|line| line.starts_with("# "))?;
    let code = |text: &str| u8::from_str_radix(text, 16).ok();
    let expected = match value("expect:")?.split_once(' ') {
        Some(("connack", text)) => Expected::ConnAck(code(text)?),
        Some(("disconnect", text)) => Expected::Disconnect(code(text)?),
        Some(_) => return None,
        None if value("expect:")? == "silence" => Expected::Silence,
        None if value("expect:")? == "served" => Expected::Served,
        None => return None,
    };
    Some(Hostile {
        name: name.to_owned(),
        from: match value("from:")? {
            "stranger" => From::Stranger,
            "client" => From::Client,
            _ => return None,
        },
        version: match value("version:")? {
            "3.1" => Version::V31,
            "3.1.1" => Version::V311,
            "5.0" => Version::V5,
            _ => return None,
        },
        expected,
        bytes: bytes(body)?,
    })
}

/// What the text stands for; none when it is not written as it should be.
fn bytes(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (one, after) = match rest.chars().next()? {
            '"' => {
                let (quoted, after) = rest[1..].split_once('"')?;
                (quoted.as_bytes().to_vec(), after)
            }
            '(' => {
                let (several, after) = rest[1..].split_once(')')?;
                (bytes(several)?, after)
            }
            _ => (vec![u8::from_str_radix(rest.get(..2)?, 16).ok()?], &rest[2..]),
        };
        let end = after.find(char::is_whitespace).unwrap_or(after.len());
        let times = match &after[..end] {
            "" => 1,
            repeat => repeat.strip_prefix('*')?.parse().ok()?,
        };
        (0..times).for_each(|_| out.extend_from_slice(&one));
        rest = after[end..].trim_start();
    }
    Some(out)
}
