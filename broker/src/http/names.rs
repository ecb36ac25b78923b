//! Look-ups of the names of web services. The system's resolver cannot be told to hurry, so each runs on a thread of its
//! own, and stays there after whoever asked has given up: their number is bounded, and who finds no place waits for one
//! as long as its request may take. Must not know what is asked there.

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use ureq::Timeout;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// Look-ups under way at once, of all plugins.
const MOST: usize = 32;
/// Addresses of one name that are tried.
const ADDRESSES: usize = 16;
/// Nobody waits for longer: a year.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);

type LookUp = dyn Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync;

/// Finds addresses, by name and port.
#[derive(Clone)]
pub(super) struct Names {
    look_up: Arc<LookUp>,
    places: Arc<Places>,
}

#[derive(Default)]
struct Places {
    taken: Mutex<usize>,
    freed: Condvar,
}

/// The right to look one name up.
struct Place(Arc<Places>);

/// Why a name was not found.
#[derive(Debug)]
enum Lost {
    /// There was no place.
    Busy,
    /// There was no answer.
    Late,
    Io(io::Error),
}

impl From<io::Error> for Lost {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy => write!(
                f,
                "its host name was not looked up: {MOST} look-ups are under way, and none of them \
                 ended in time; the name server may be down"
            ),
            Self::Late => f.write_str("its host name was not found in time"),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Lost {}

impl Names {
    /// By the system's resolver.
    pub(super) fn new() -> Self {
        Self::looked_up(|server| Ok(server.to_socket_addrs()?.collect()))
    }

    fn looked_up(
        look_up: impl Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static,
    ) -> Self {
        Self { look_up: Arc::new(look_up), places: Arc::default() }
    }

    /// The addresses of `server`, a name or an address with a port.
    fn find(&self, server: &str, patience: Duration) -> Result<Vec<SocketAddr>, Lost> {
        if let Ok(address) = server.parse() {
            return Ok(vec![address]);
        }
        let until = Instant::now() + patience.min(FOREVER);
        let place = Place::take(&self.places, until).ok_or(Lost::Busy)?;
        let (tell, told) = mpsc::sync_channel(1);
        let (look_up, server) = (Arc::clone(&self.look_up), server.to_owned());
        std::thread::Builder::new().name("http-name".into()).spawn(move || {
            // Whoever asked may be gone.
            let _ = tell.send(look_up(&server));
            drop(place);
        })?;
        let left = until.saturating_duration_since(Instant::now());
        Ok(told.recv_timeout(left).map_err(|_| Lost::Late)??)
    }
}

impl Place {
    fn take(places: &Arc<Places>, until: Instant) -> Option<Self> {
        let mut taken = places.taken.lock();
        while *taken >= MOST {
            if places.freed.wait_until(&mut taken, until).timed_out() && *taken >= MOST {
                return None;
            }
        }
        *taken += 1;
        Some(Self(Arc::clone(places)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        *self.0.taken.lock() -= 1;
        self.0.freed.notify_one();
    }
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Names").finish_non_exhaustive()
    }
}

impl Resolver for Names {
    fn resolve(
        &self,
        uri: &Uri,
        _: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let server = uri
            .scheme()
            .zip(uri.authority())
            .and_then(|(scheme, authority)| DefaultResolver::host_and_port(scheme, authority));
        let server = server.ok_or_else(|| ureq::Error::BadUri(uri.to_string()))?;
        let found = self.find(&server, *timeout.after).map_err(|lost| match lost {
            Lost::Late => ureq::Error::Timeout(Timeout::Resolve),
            Lost::Io(error) => error.into(),
            Lost::Busy => ureq::Error::Other(lost.into()),
        })?;
        let mut addresses = self.empty();
        found.into_iter().take(ADDRESSES).for_each(|address| addresses.push(address));
        match addresses.is_empty() {
            true => Err(ureq::Error::HostNotFound),
            false => Ok(addresses),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);
    const SHORT: Duration = Duration::from_millis(20);

    #[test]
    fn no_more_look_ups_than_a_bound_are_under_way_and_who_finds_no_place_is_told_why() {
        let (started, starts) = mpsc::channel();
        let (release, held) = mpsc::channel::<()>();
        let held = Mutex::new(held);
        let names = Names::looked_up(move |server| {
            let _ = started.send(server.to_owned());
            if server.starts_with("slow") {
                let _ = held.lock().recv();
            }
            Ok(vec!["192.0.2.1:80".parse().unwrap()])
        });
        assert_eq!(names.find("fast:80", LONG).unwrap().len(), 1);
        assert_eq!(starts.recv().unwrap(), "fast:80");
        for _ in 0..MOST {
            // Who gives up leaves the look-up behind.
            assert!(matches!(names.find("slow:80", SHORT), Err(Lost::Late)));
            assert_eq!(starts.recv().unwrap(), "slow:80");
        }
        let busy = names.find("fast:80", SHORT).unwrap_err();
        assert!(busy.to_string().contains("32 look-ups are under way"), "{busy}");
        assert!(starts.try_recv().is_err(), "it was not begun");
        let literal = names.find("[::1]:80", SHORT).unwrap();
        assert_eq!(literal, ["[::1]:80".parse().unwrap()], "an address needs no place");
        // One place is free, and whoever waits for it gets it.
        let waiting = {
            let names = names.clone();
            std::thread::spawn(move || names.find("fast:80", LONG))
        };
        release.send(()).unwrap();
        assert_eq!(waiting.join().unwrap().unwrap().len(), 1);
        drop(release);
    }

    #[test]
    fn what_the_system_says_is_passed_on() {
        let names = Names::looked_up(|_| Err(io::Error::other("no such name")));
        assert_eq!(names.find("a:80", LONG).unwrap_err().to_string(), "no such name");
        assert!(!Names::new().find("localhost:80", LONG).unwrap().is_empty());
    }
}
