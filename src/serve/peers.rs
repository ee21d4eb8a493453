//! Which process of this machine is at the other end of a TCP connection, and whether it descends from a Codex of ours.
//!
//! A command in Codex's sandbox that may use the network reaches loopback, and can read what a client of the user's has
//! in its files: a token, a cookie. It is refused all the same. Linux says which process has a socket; elsewhere nothing
//! can be told, and `docs/serving.md` says so.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use crate::mcp::Lineage;

/// How many processes are remembered that were found to be clients.
const MOST_KNOWN: usize = 64;

/// The processes that have connected from this machine and may be clients. A cheap handle.
#[derive(Debug, Clone, Default)]
pub(in crate::serve) struct Peers {
    /// They are looked at first, because looking at all processes takes some milliseconds.
    known: Arc<Mutex<Vec<u32>>>,
}

impl Peers {
    /// Whether the connection may be a client's. `own` is our end of it.
    pub(in crate::serve) async fn is_trusted(&self, peer: SocketAddr, own: SocketAddr) -> bool {
        let (peer, own) = (canonical(peer), canonical(own));
        let is_from_here = peer.ip().is_loopback() || peer.ip() == own.ip();
        if !cfg!(target_os = "linux") || !is_from_here {
            return true;
        }
        let peers = self.clone();
        let looked = tokio::task::spawn_blocking(move || peers.look(peer, own)).await;
        looked.unwrap_or(false)
    }

    fn look(&self, peer: SocketAddr, own: SocketAddr) -> bool {
        let Some(socket) = system::socket(peer, own) else {
            // Its client is gone: then none is answered. Or this system does not list connections, not even our end.
            return system::socket(own, peer).is_none() && !system::has_tables();
        };
        // Nothing under the lock can panic.
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(process) =
            known.into_iter().find(|process| socket.is_of(*process) == Some(true))
        {
            return Lineage::of(Some(process)).is_trusted();
        }
        let mut found = Vec::new();
        for process in socket.candidates() {
            let lineage = || Lineage::of(Some(process));
            match socket.is_of(process) {
                Some(true) if lineage().is_trusted() => found.push(process),
                Some(true) => return false,
                // Some programs let nobody look: a daemon of the system's that works for the user is a client, what
                // Codex has started is none.
                None if lineage() == Lineage::Codex => return false,
                Some(false) | None => {}
            }
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.extend(found);
        let surplus = known.len().saturating_sub(MOST_KNOWN);
        known.drain(..surplus);
        true
    }
}

/// An address as a version 4 address if it stands for one.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(target_os = "linux")]
mod system {
    //! What `/proc` says of sockets.

    use std::{
        fs,
        net::{IpAddr, SocketAddr},
        os::unix::fs::MetadataExt,
    };

    /// The other end of a connection.
    pub(super) struct Socket {
        user: u32,
        /// How a process's list of files names it.
        link: String,
    }

    /// The socket at `peer` that is connected with `own`.
    pub(super) fn socket(peer: SocketAddr, own: SocketAddr) -> Option<Socket> {
        for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
            let text = fs::read_to_string(table).unwrap_or_default();
            let is_wide = table.ends_with('6');
            // Found as a whole: the tables have a line for each connection of the machine.
            let ends = format!(" {} {} ", written(peer, is_wide), written(own, is_wide));
            let Some((_, rest)) = text.split_once(&ends) else { continue };
            // State, queues, timers and retransmissions come first.
            let mut words = rest.lines().next()?.split_whitespace();
            let user = words.nth(4)?.parse().ok()?;
            let inode: u64 = words.nth(1)?.parse().ok()?;
            return (inode != 0).then(|| Socket { user, link: format!("socket:[{inode}]") });
        }
        None
    }

    /// Whether the system lists connections at all. There is one, the one that is asked about.
    pub(super) fn has_tables() -> bool {
        let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
        tables.iter().any(|table| fs::read_to_string(table).is_ok_and(|it| it.lines().count() > 1))
    }

    /// An address as the tables write it: words of four bytes in this machine's order.
    fn written(address: SocketAddr, is_wide: bool) -> String {
        let octets = match (address.ip(), is_wide) {
            (IpAddr::V4(ip), false) => ip.octets().to_vec(),
            (IpAddr::V4(ip), true) => ip.to_ipv6_mapped().octets().to_vec(),
            (IpAddr::V6(ip), _) => ip.octets().to_vec(),
        };
        let word = |bytes: &[u8]| {
            let bytes: [u8; 4] = bytes.try_into().unwrap_or_default();
            format!("{:08X}", u32::from_ne_bytes(bytes))
        };
        format!("{}:{:04X}", octets.chunks(4).map(word).collect::<String>(), address.port())
    }

    impl Socket {
        /// Whether a process has it. `None` if it lets nobody look.
        pub(super) fn is_of(&self, process: u32) -> Option<bool> {
            let entries = match fs::read_dir(format!("/proc/{process}/fd")) {
                Ok(entries) => entries,
                Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => return None,
                Err(_) => return Some(false),
            };
            let number = |entry: fs::DirEntry| entry.file_name().to_str()?.parse::<u32>().ok();
            let mut files: Vec<u32> = entries.flatten().filter_map(number).collect();
            // A connection that is new is among the last.
            files.sort_unstable_by(|one, other| other.cmp(one));
            let mut links = files
                .into_iter()
                .filter_map(|file| fs::read_link(format!("/proc/{process}/fd/{file}")).ok());
            Some(links.any(|link| link.as_os_str() == self.link.as_str()))
        }

        /// The processes that can have it: those of its user. Of one that lets nobody look the user is not known.
        pub(super) fn candidates(&self) -> impl Iterator<Item = u32> {
            let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
            entries.filter_map(|entry| {
                let process = entry.file_name().to_str()?.parse().ok()?;
                let user = entry.metadata().ok()?.uid();
                (user == self.user || user == 0).then_some(process)
            })
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    //! Other systems do not say which process has a socket.

    pub(super) struct Socket;

    pub(super) fn socket(_: std::net::SocketAddr, _: std::net::SocketAddr) -> Option<Socket> {
        None
    }

    pub(super) fn has_tables() -> bool {
        false
    }

    impl Socket {
        pub(super) fn is_of(&self, _: u32) -> Option<bool> {
            None
        }

        pub(super) fn candidates(&self) -> impl Iterator<Item = u32> {
            std::iter::empty()
        }
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_client_is_found_and_known_again() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(address) else { continue };
            let own = listener.local_addr().unwrap();
            let _client = std::net::TcpStream::connect(own).unwrap();
            let (_stream, peer) = listener.accept().unwrap();
            let peers = Peers::default();
            assert!(peers.is_trusted(peer, own).await);
            assert_eq!(*peers.known.lock().unwrap(), [std::process::id()]);
            assert!(peers.is_trusted(peer, own).await);
        }
    }

    #[tokio::test]
    async fn what_is_gone_is_not_answered_and_what_is_elsewhere_is() {
        let own = "127.0.0.1:9".parse().unwrap();
        let peers = Peers::default();
        assert!(!peers.is_trusted("127.0.0.1:1".parse().unwrap(), own).await);
        assert!(peers.is_trusted("192.0.2.1:1".parse().unwrap(), own).await);
    }
}
