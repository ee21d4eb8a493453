//! Where a request comes from: the other end of its connection, or what a trusted proxy says.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, HeaderName};
use ipnet::IpNet;

/// The header in which proxies tell their clients' addresses, the last one's last.
const FORWARDED: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The other end of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) SocketAddr);

/// The networks that the operator's proxies are in. The error is what is none.
pub(super) fn networks(words: &[String]) -> Result<Vec<IpNet>, String> {
    let network = |word: &String| {
        let address = word.parse().map(|address: IpAddr| address.into());
        address.or_else(|_| word.parse()).map_err(|_| word.clone())
    };
    words.iter().map(network).collect()
}

/// The address of a client: that which the last proxy nobody trusts, or the client itself, is connected from.
pub(super) fn client_address(peer: Peer, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: &IpAddr| trusted.iter().any(|network| network.contains(address));
    let Peer(peer) = peer;
    let mut client = peer.ip().to_canonical();
    let values = headers.get_all(FORWARDED).iter().filter_map(|value| value.to_str().ok());
    let told: Vec<&str> = values.flat_map(|value| value.split(',')).collect();
    for word in told.into_iter().rev() {
        let Some(address) = address(word).filter(|_| is_trusted(&client)) else { break };
        client = address;
    }
    client
}

/// An address, which some proxies write with a port.
fn address(word: &str) -> Option<IpAddr> {
    let word = word.trim();
    let with_port = || word.parse().ok().map(|address: SocketAddr| address.ip());
    word.parse().ok().or_else(with_port).map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_believed_as_far_as_it_was_written_by_trusted_proxies() {
        let trusted = networks(&["10.0.0.0/8".to_owned(), "::1".to_owned()]).unwrap();
        for (peer, told, client) in [
            ("10.0.0.1:1", "192.0.2.7", "192.0.2.7"),
            ("10.0.0.1:1", "198.51.100.1, 192.0.2.7, 10.0.0.9", "192.0.2.7"),
            ("[::1]:1", "192.0.2.7:4711", "192.0.2.7"),
            ("[::ffff:10.0.0.1]:1", "[2001:db8::1]:4711", "2001:db8::1"),
            // Nobody is believed whom the operator did not name.
            ("192.0.2.1:1", "10.0.0.1", "192.0.2.1"),
            ("10.0.0.1:1", "nonsense", "10.0.0.1"),
            ("10.0.0.1:1", "192.0.2.7, nonsense", "10.0.0.1"),
            ("10.0.0.1:1", "", "10.0.0.1"),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(FORWARDED, told.parse().unwrap());
            let found = client_address(Peer(peer.parse().unwrap()), &headers, &trusted);
            assert_eq!(found, client.parse::<IpAddr>().unwrap(), "{peer} {told}");
        }
        assert_eq!(networks(&["10.0.0.0/40".to_owned()]), Err("10.0.0.0/40".to_owned()));
    }
}
