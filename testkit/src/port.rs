//! Ports for programs that have to be told theirs. It does not know what listens there.

use std::{
    net::TcpListener,
    ops::Range,
    process,
    sync::atomic::{AtomicU16, Ordering},
};

/// Below what systems give to connections and to listeners that take any port (Linux: from 32768 on; others: from 49152
/// on), so that no other test gets one between the choice and the start of the program.
const PORTS: Range<u16> = 12_000..32_000;

/// The next port to try, counted from a place of this process's own.
static NEXT: AtomicU16 = AtomicU16::new(0);

/// A port that nothing listens on, given once per process.
///
/// # Panics
/// If there is none.
pub fn free_port() -> u16 {
    let many = PORTS.end - PORTS.start;
    // Processes that start one after the other begin far from each other.
    let begin = u16::try_from(process::id() % 200).unwrap_or_default() * (many / 200);
    let mut tried = (0..many).map(|_| {
        let next = NEXT.fetch_add(1, Ordering::Relaxed) % many;
        PORTS.start + (begin + next) % many
    });
    let is_free = |port: &u16| {
        ["127.0.0.1", "::1"].iter().all(|ip| match TcpListener::bind((*ip, *port)) {
            Ok(_) => true,
            // A machine need not have the newer kind of address.
            Err(error) => error.kind() == std::io::ErrorKind::AddrNotAvailable,
        })
    };
    tried.find(is_free).expect("a free port")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_given_once_and_not_while_it_is_taken() {
        let first = free_port();
        let _taken = TcpListener::bind(("127.0.0.1", first + 1)).unwrap();
        let second = free_port();
        assert!(PORTS.contains(&first) && PORTS.contains(&second));
        assert!(second > first + 1, "{first} {second}");
    }
}
