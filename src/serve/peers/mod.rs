//! Which process of this machine is at the other end of a TCP connection, and whether it descends from a Codex of ours.
//!
//! A command in Codex's sandbox that may use the network reaches loopback, and can read what a client of the user's has
//! in its files: a token, a cookie. It is refused all the same. Linux says which process has a socket; elsewhere nothing
//! can be told, and `docs/serving.md` says so.

#[cfg(target_os = "linux")]
mod linux;

use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

#[cfg(target_os = "linux")]
use linux::Socket;

#[cfg(target_os = "linux")]
use crate::mcp::{Lineage, Lineages};

/// The processes that have connected from this machine and may be clients. A cheap handle.
#[derive(Debug, Clone, Default)]
pub(in crate::serve) struct Peers {
    /// The sockets that each was seen to have. Looking for a socket among all processes takes some milliseconds, and a
    /// client has many connections: what was seen once is not looked for again.
    known: Arc<Mutex<Known>>,
    /// Held while one is looked for: what the first finds, those after it need not look for, and one thread is enough.
    looking: Arc<tokio::sync::Mutex<()>>,
}

type Known = HashMap<u32, HashSet<u64>>;

impl Peers {
    /// Whether the connection may be a client's. `own` is our end of it.
    pub(in crate::serve) async fn is_trusted(&self, peer: SocketAddr, own: SocketAddr) -> bool {
        let (peer, own) = (canonical(peer), canonical(own));
        let at_once = self.clone();
        let known = blocking(move || at_once.is_known(peer, own)).await;
        match known {
            Some(Said::Is(is_trusted)) => is_trusted,
            Some(Said::LookFor(socket)) => {
                let _alone = Arc::clone(&self.looking).lock_owned().await;
                let peers = self.clone();
                blocking(move || peers.look_for(socket)).await.unwrap_or(false)
            }
            None => false,
        }
    }

    /// The lock is never held across an await and nothing under it can panic.
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `None` if it panics, or this program ends.
async fn blocking<T: Send + 'static>(look: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(look).await.ok()
}

/// What can be said without looking at all processes.
enum Said {
    /// Whether it is trusted.
    Is(bool),
    /// It is from here, and has not been seen before.
    LookFor(Socket),
}

#[cfg(not(target_os = "linux"))]
type Socket = std::convert::Infallible;

#[cfg(not(target_os = "linux"))]
impl Peers {
    fn is_known(&self, _: SocketAddr, _: SocketAddr) -> Said {
        // Nothing is known of any process, so nothing speaks against this one.
        Said::Is(self.known().is_empty())
    }

    fn look_for(&self, socket: Socket) -> bool {
        match socket {}
    }
}

#[cfg(target_os = "linux")]
impl Peers {
    fn is_known(&self, peer: SocketAddr, own: SocketAddr) -> Said {
        // A connection has another end here if it is from here, whatever its address says.
        match linux::socket(peer, own) {
            Ok(Some(socket)) => match self.owner(socket) {
                Some(process) => Said::Is(Lineage::of(Some(process)).is_trusted()),
                None => Said::LookFor(socket),
            },
            // Its client is elsewhere. Or it is from here and gone: then none is answered.
            Ok(None) => Said::Is(!linux::is_of_this_machine(peer.ip())),
            Err(error) if error.kind() == std::io::ErrorKind::Unsupported => {
                tracing::debug!(%error, "this system does not say who connects");
                Said::Is(true)
            }
            Err(error) => refused(&error),
        }
    }

    /// The process that was seen to have a socket.
    fn owner(&self, socket: Socket) -> Option<u32> {
        let known = self.known();
        let mut all = known.iter();
        all.find(|(_, sockets)| sockets.contains(&socket.number)).map(|(process, _)| *process)
    }

    /// Looks for the process that has a socket.
    fn look_for(&self, socket: Socket) -> bool {
        match self.found(socket) {
            Ok(is_trusted) => is_trusted,
            Err(error) => matches!(refused(&error), Said::Is(true)),
        }
    }

    fn found(&self, socket: Socket) -> std::io::Result<bool> {
        // Each process is looked at once, those below a Codex not at all.
        let mut lineages = Lineages::default();
        let mut candidates: Vec<u32> = self.owner(socket).into_iter().collect();
        candidates.extend(self.known().keys().copied());
        candidates.extend(linux::candidates(socket)?);
        let (mut of_codex, mut is_hidden) = (false, false);
        let mut clients = Vec::new();
        for process in candidates {
            // Its files are not looked at: it may have as many as it likes.
            if lineages.of(process) == Lineage::Codex {
                of_codex = true;
                continue;
            }
            clients.push(process);
            // Some programs cannot be inspected, such as a daemon of the system's that works for the user.
            let Some(sockets) = linux::sockets_of(process)? else {
                is_hidden = true;
                continue;
            };
            if sockets.contains(&socket.number) {
                self.known().insert(process, sockets);
                return Ok(Lineage::of(Some(process)).is_trusted());
            }
            if sockets.is_empty() {
                // Gone, or another process by now.
                self.known().remove(&process);
            }
        }
        for process in clients {
            if linux::sockets_of_threads(process)?.contains(&socket.number) {
                return Ok(Lineage::of(Some(process)).is_trusted());
            }
        }
        // No client that can be inspected has it: another user's program may, or one that cannot be inspected. Or something
        // that Codex has started, which sends the socket from one process to another, or holds it where it cannot be seen.
        Ok(!of_codex && (is_hidden || !socket.is_of_this_user()))
    }
}

/// What cannot be told at this moment is no reason for trust: a command could bring that about.
#[cfg(target_os = "linux")]
fn refused(error: &std::io::Error) -> Said {
    tracing::warn!(%error, "a connection is refused, as the system does not say whose it is");
    Said::Is(false)
}

/// An address as a version 4 address if it stands for one.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[tokio::test]
    async fn a_client_is_found_and_its_other_connections_with_it() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let own = listener.local_addr().unwrap();
        let clients: Vec<_> = (0..3).map(|_| TcpStream::connect(own).unwrap()).collect();
        let peers = Peers::default();
        let first = clients[0].local_addr().unwrap();
        assert!(peers.is_trusted(first, own).await);
        let known = peers.known().clone();
        assert_eq!(known.keys().copied().collect::<Vec<_>>(), [std::process::id()]);
        for client in clients {
            assert!(peers.is_trusted(client.local_addr().unwrap(), own).await);
        }
    }

    /// A thread can have files that its process does not show.
    #[tokio::test]
    async fn a_connection_that_nobody_shows_is_not_answered() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let own = listener.local_addr().unwrap();
        let (near, far) = std::os::unix::net::UnixStream::pair().unwrap();
        let client = TcpStream::connect(own).unwrap();
        let peer = client.local_addr().unwrap();
        // On its way from one process to another no process has it.
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut way = rustix::net::SendAncillaryBuffer::new(&mut space);
        let sent = [std::os::fd::AsFd::as_fd(&client)];
        way.push(rustix::net::SendAncillaryMessage::ScmRights(&sent));
        let parts = [std::io::IoSlice::new(b"x")];
        rustix::net::sendmsg(&near, &parts, &mut way, rustix::net::SendFlags::empty()).unwrap();
        drop(client);
        assert!(!Peers::default().is_trusted(peer, own).await);
        drop(far);
    }

    #[tokio::test]
    async fn what_is_gone_is_not_answered_and_what_is_elsewhere_is() {
        let own = "127.0.0.1:9".parse().unwrap();
        let peers = Peers::default();
        assert!(!peers.is_trusted("127.0.0.1:1".parse().unwrap(), own).await);
        assert!(peers.is_trusted("192.0.2.1:1".parse().unwrap(), own).await);
        // Loopback is not the only address of a machine.
        let out = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
        if out.connect("192.0.2.1:9").is_ok() {
            let address = SocketAddr::new(out.local_addr().unwrap().ip(), 1);
            assert!(!peers.is_trusted(address, own).await, "{address}");
        }
    }
}
