//! The world around a guest: empty, but for time and chance.

use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use wasmtime::component::{ComponentType, Lift, LinkerInstance, Lower, Resource, Val};
use wasmtime::{Result, bail, format_err};

use super::{Nothing, Pollable, answer};
use crate::host::Host;

/// Bytes of chance in one call.
const RANDOM_MAX: u64 = 64 << 10;
const TICK: Duration = Duration::from_millis(1);

/// Where monotonic time begins.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

#[derive(ComponentType, Lift, Lower)]
#[component(record)]
struct Datetime {
    seconds: u64,
    nanoseconds: u32,
}

impl From<Duration> for Datetime {
    fn from(since: Duration) -> Self {
        Self { seconds: since.as_secs(), nanoseconds: since.subsec_nanos() }
    }
}

fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| format_err!("no random bytes: {error}"))?;
    Ok(bytes)
}

fn random_number() -> Result<u64> {
    random().map(u64::from_le_bytes)
}

/// Defines a function if it belongs here.
pub(super) fn define(
    linker: &mut LinkerInstance<'_, Host>,
    interface: &str,
    name: &str,
) -> Result<bool> {
    match (interface, name) {
        ("cli/environment", "get-environment") => {
            answer(linker, name, |_, ()| Ok(Vec::<(String, String)>::new()))?;
        }
        ("cli/environment", "get-arguments") => {
            answer(linker, name, |_, ()| Ok(Vec::<String>::new()))?;
        }
        ("cli/environment", "initial-cwd") => answer(linker, name, |_, ()| Ok(None::<String>))?,
        ("filesystem/preopens", "get-directories") => {
            answer(linker, name, |_, ()| Ok(Vec::<(Resource<Nothing>, String)>::new()))?;
        }
        ("sockets/instance-network", "instance-network") => {
            answer(linker, name, |host, ()| host.own::<Nothing>(0))?;
        }
        ("sockets/tcp-create-socket", "create-tcp-socket")
        | ("sockets/udp-create-socket", "create-udp-socket")
        | ("sockets/ip-name-lookup", "resolve-addresses") => {
            linker.func_new(name, |_, _, _, results| {
                if let Some(result) = results.first_mut() {
                    let denied = Val::Enum("access-denied".into());
                    *result = Val::Result(Err(Some(Box::new(denied))));
                }
                Ok(())
            })?;
        }
        ("random/random", "get-random-bytes")
        | ("random/insecure", "get-insecure-random-bytes") => {
            answer(linker, name, |_, (length,): (u64,)| {
                if length > RANDOM_MAX {
                    bail!("it asked for {length} random bytes at once; {RANDOM_MAX} are the most");
                }
                let mut bytes = vec![0; usize::try_from(length)?];
                getrandom::fill(&mut bytes)
                    .map_err(|error| format_err!("no random bytes: {error}"))?;
                Ok(bytes)
            })?;
        }
        ("random/random", "get-random-u64") | ("random/insecure", "get-insecure-random-u64") => {
            answer(linker, name, |_, ()| random_number())?;
        }
        ("random/insecure-seed", "insecure-seed" | "get-insecure-seed") => {
            answer(linker, name, |_, ()| Ok((random_number()?, random_number()?)))?;
        }
        _ => return clock(linker, interface, name),
    }
    Ok(true)
}

fn clock(linker: &mut LinkerInstance<'_, Host>, interface: &str, name: &str) -> Result<bool> {
    match (interface, name) {
        ("clocks/monotonic-clock", "now") => {
            answer(linker, name, |_, ()| Ok(u64::try_from(START.elapsed().as_nanos())?))?;
        }
        ("clocks/monotonic-clock", "resolution") => {
            answer(linker, name, |_, ()| Ok(u64::try_from(TICK.as_nanos())?))?;
        }
        ("clocks/monotonic-clock", "subscribe-instant" | "subscribe-duration") => {
            answer(linker, name, |host, (_,): (u64,)| host.own::<Pollable>(0))?;
        }
        ("clocks/wall-clock", "now") => {
            answer(linker, name, |_, ()| {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Ok(Datetime::from(since))
            })?;
        }
        ("clocks/wall-clock", "resolution") => {
            answer(linker, name, |_, ()| Ok(Datetime::from(TICK)))?
        }
        _ => return Ok(false),
    }
    Ok(true)
}
