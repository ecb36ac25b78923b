//! How many connections come from one address, and how soon one after the other.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use parking_lot::Mutex;
use wasmqtt_core::time::Moment;

/// Addresses that are remembered for what they did in the current second, beside those that are connected. Those beyond it
/// are turned away: who has so many has them for no good.
const MAX_FRESH: usize = 65_536;

/// All addresses of one listener.
#[derive(Debug, Default)]
pub(crate) struct Addresses(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    seen: HashMap<IpAddr, Seen>,
    /// The second that `fresh` is about.
    second: u64,
    /// Addresses that were new in it.
    fresh: usize,
}

#[derive(Debug, Default)]
struct Seen {
    connections: u32,
    second: u64,
    /// Connections opened in that second.
    opened: u32,
}

/// Counts one connection of an address for as long as it lives.
#[derive(Debug)]
pub(crate) struct Place {
    addresses: Arc<Addresses>,
    address: IpAddr,
}

/// Why an address gets no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TooMany {
    Connections,
    AtOnce,
}

impl Addresses {
    /// A place for one more connection; 0 = no bound.
    pub(crate) fn enter(
        self: &Arc<Self>,
        address: IpAddr,
        now: Moment,
        most: u32,
        rate: u32,
    ) -> Result<Place, TooMany> {
        let address = network(address);
        let second = now.0 / 1000;
        let mut table = self.0.lock();
        if table.second != second {
            table.second = second;
            table.fresh = 0;
            table.seen.retain(|_, seen| seen.connections > 0);
        }
        if !table.seen.contains_key(&address) {
            if table.fresh >= MAX_FRESH {
                return Err(TooMany::AtOnce);
            }
            table.fresh += 1;
        }
        let seen = table.seen.entry(address).or_default();
        if seen.second != second {
            (seen.second, seen.opened) = (second, 0);
        }
        seen.opened = seen.opened.saturating_add(1);
        if rate > 0 && seen.opened > rate {
            return Err(TooMany::AtOnce);
        }
        if most > 0 && seen.connections >= most {
            return Err(TooMany::Connections);
        }
        seen.connections += 1;
        Ok(Place { addresses: Arc::clone(self), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut table = self.addresses.0.lock();
        let second = table.second;
        if let Some(seen) = table.seen.get_mut(&self.address) {
            seen.connections = seen.connections.saturating_sub(1);
            // What it did in this second still counts.
            if seen.connections == 0 && seen.second != second {
                table.seen.remove(&self.address);
            }
        }
    }
}

/// Whoever has one IPv6 address has as many as a network of 64 bits holds.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)))
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_has_so_many_connections_and_another_has_its_own() {
        let addresses = Arc::<Addresses>::default();
        let enter = |address: &str| addresses.enter(ip(address), Moment(5), 2, 0);
        let first = enter("192.0.2.1").unwrap();
        let _second = enter("192.0.2.1").unwrap();
        assert_eq!(enter("192.0.2.1").err(), Some(TooMany::Connections));
        assert_eq!(enter("::ffff:192.0.2.1").err(), Some(TooMany::Connections));
        let _other = enter("192.0.2.2").unwrap();
        drop(first);
        assert!(enter("192.0.2.1").is_ok());
        // A whole network of IPv6 is one.
        let _third = enter("2001:db8::1").unwrap();
        let _fourth = enter("2001:db8::2").unwrap();
        assert_eq!(enter("2001:db8::3").err(), Some(TooMany::Connections));
        assert!(enter("2001:db8:0:1::3").is_ok());
    }

    #[test]
    fn an_address_opens_so_many_in_a_second_also_when_it_closes_them() {
        let addresses = Arc::<Addresses>::default();
        let enter = |address: &str, now| addresses.enter(ip(address), Moment(now), 0, 3);
        for _ in 0..3 {
            drop(enter("192.0.2.1", 1000).unwrap());
        }
        assert_eq!(enter("192.0.2.1", 1999).err(), Some(TooMany::AtOnce));
        assert!(enter("192.0.2.2", 1999).is_ok());
        assert!(enter("192.0.2.1", 2000).is_ok());
    }

    #[test]
    fn who_is_gone_is_forgotten_and_a_crowd_of_strangers_has_a_bound() {
        let addresses = Arc::<Addresses>::default();
        let enter =
            |n: usize, now| addresses.enter(IpAddr::V4((n as u32).into()), Moment(now), 0, 0);
        let stays = enter(usize::MAX >> 33, 1000).unwrap();
        for number in 1..MAX_FRESH {
            drop(enter(number, 1000).unwrap());
        }
        assert_eq!(enter(MAX_FRESH, 1500).err(), Some(TooMany::AtOnce));
        // Those who are known are not strangers.
        assert!(enter(1, 1500).is_ok());
        drop(enter(MAX_FRESH, 2000).unwrap());
        assert_eq!(addresses.0.lock().seen.len(), 2);
        drop(stays);
        drop(enter(7, 3000).unwrap());
        assert_eq!(addresses.0.lock().seen.len(), 1);
    }
}
