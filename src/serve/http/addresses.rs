//! How many connections each address has, so that none takes all of them; callers who have not shown a good token yet have
//! a quarter of that.
//!
//! What comes from a trusted proxy is counted for the client that the proxy names, for as long as a request of it is under
//! way: the proxy's own connections are the operator's. Knows nothing of tokens: [`Place::is_known`] is told.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use ipnet::IpNet;

/// How many of an address' connections may have shown no good token yet: one in so many.
const STRANGERS: usize = 4;

/// Connections by address.
#[derive(Debug)]
pub(super) struct Addresses {
    limit: usize,
    trusted: Vec<IpNet>,
    of: Mutex<HashMap<IpAddr, Count>>,
}

#[derive(Debug, Default)]
struct Count {
    all: usize,
    /// Those among them that have shown no good token.
    strangers: usize,
}

/// A connection, or a request through a proxy, that is counted until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    addresses: Arc<Addresses>,
    address: IpAddr,
    is_known: AtomicBool,
}

impl Addresses {
    /// At most `limit` for each address that is not of a trusted proxy.
    pub(super) fn new(limit: usize, trusted: Vec<IpNet>) -> Arc<Self> {
        Arc::new(Self { limit, trusted, of: Mutex::default() })
    }

    /// The networks of the operator's proxies.
    pub(super) fn trusted(&self) -> &[IpNet] {
        &self.trusted
    }

    /// Whether this is a proxy of the operator's, whose clients count in its place.
    pub(super) fn is_trusted(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.trusted.iter().any(|network| network.contains(&address))
    }

    /// Counts another one in. `None` if the address has too many.
    pub(super) fn take(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let address = of_one_client(address);
        let mut of = self.lock();
        let count = of.entry(address).or_default();
        let strangers = (self.limit / STRANGERS).max(1);
        if count.all >= self.limit || count.strangers >= strangers {
            return None;
        }
        count.all += 1;
        count.strangers += 1;
        Some(Place { addresses: Arc::clone(self), address, is_known: AtomicBool::new(false) })
    }

    /// The lock is never held across an await and nothing under it can panic.
    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, Count>> {
        self.of.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The network of one client: who has an `IPv6` address usually has 2⁶⁴ of them.
fn of_one_client(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        address @ IpAddr::V4(_) => address,
    }
}

impl Place {
    /// A good token was shown on it.
    pub(super) fn is_known(&self) {
        if !self.is_known.swap(true, Ordering::Relaxed)
            && let Some(count) = self.addresses.lock().get_mut(&self.address)
        {
            count.strangers -= 1;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.is_known();
        let mut of = self.addresses.lock();
        if let Some(count) = of.get_mut(&self.address) {
            count.all -= 1;
            if count.all == 0 {
                of.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_address_has_more_than_its_share_and_strangers_a_quarter_of_it() {
        let addresses = Addresses::new(8, Vec::new());
        let here: IpAddr = "192.0.2.1".parse().unwrap();
        let mut known: Vec<Place> = Vec::new();
        for _ in 0..8 {
            let place = addresses.take(here).unwrap();
            place.is_known();
            place.is_known();
            known.push(place);
        }
        assert!(addresses.take(here).is_none());
        known.truncate(4);
        let strangers = [addresses.take(here).unwrap(), addresses.take(here).unwrap()];
        assert!(addresses.take(here).is_none(), "two strangers of eight are enough");
        assert!(addresses.take("::ffff:192.0.2.1".parse().unwrap()).is_none(), "the same address");
        let other = addresses.take("192.0.2.2".parse().unwrap());
        assert!(other.is_some());
        drop((known, strangers, other));
        assert!(addresses.lock().is_empty());
    }

    #[test]
    fn a_network_of_ipv6_is_one_client() {
        let addresses = Addresses::new(1, Vec::new());
        let _one = addresses.take("2001:db8:1:2::1".parse().unwrap()).unwrap();
        assert!(addresses.take("2001:db8:1:2:ffff::9".parse().unwrap()).is_none());
        assert!(addresses.take("2001:db8:1:3::1".parse().unwrap()).is_some());
    }
}
