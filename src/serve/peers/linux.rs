//! What Linux says of sockets: which one is at the other end of a connection, and which process has it.

use std::{
    collections::HashSet,
    fs, io,
    net::{IpAddr, SocketAddr, UdpSocket},
    os::unix::fs::MetadataExt,
    path::Path,
};

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketType, netlink, recv, send, socket as open,
};

/// The other end of a connection. It is known by its number.
#[derive(Debug, Clone, Copy)]
pub(super) struct Socket {
    user: u32,
    /// Its number, which no other socket has as long as it is open.
    pub(super) number: u64,
}

impl Socket {
    /// Whether it belongs to the user that this server runs as.
    pub(super) fn is_of_this_user(self) -> bool {
        self.user == rustix::process::geteuid().as_raw()
    }
}

/// The socket at `peer` that is connected with `own`. `None` if there is none any more.
///
/// # Errors
/// If this system does not say.
pub(super) fn socket(peer: SocketAddr, own: SocketAddr) -> io::Result<Option<Socket>> {
    match asked(peer, own) {
        Err(_) => listed(peer, own),
        answer => answer,
    }
}

/// Asks the kernel for one connection (`NETLINK_SOCK_DIAG`, `linux/inet_diag.h`): some microseconds.
fn asked(peer: SocketAddr, own: SocketAddr) -> io::Result<Option<Socket>> {
    const BY_FAMILY: u16 = 20;
    const REQUEST: u16 = 1;
    const ERROR: u16 = 2;
    const TCP: u8 = 6;
    const NOT_FOUND: i32 = -2;
    let family = if peer.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let family = u8::try_from(family.as_raw()).unwrap_or_default();
    let mut wanted = vec![family, TCP, 0, 0];
    wanted.extend(u32::MAX.to_ne_bytes());
    wanted.extend(peer.port().to_be_bytes());
    wanted.extend(own.port().to_be_bytes());
    for end in [peer, own] {
        let mut octets = match end.ip() {
            IpAddr::V4(ip) => ip.octets().to_vec(),
            IpAddr::V6(ip) => ip.octets().to_vec(),
        };
        octets.resize(16, 0);
        wanted.extend(octets);
    }
    // Any interface, any cookie.
    wanted.extend([0; 4]);
    wanted.extend([0xff; 8]);
    let length = u32::try_from(16 + wanted.len()).unwrap_or_default();
    let mut message = length.to_ne_bytes().to_vec();
    message.extend(BY_FAMILY.to_ne_bytes());
    message.extend(REQUEST.to_ne_bytes());
    message.extend([1, 0, 0, 0, 0, 0, 0, 0]);
    message.extend(wanted);
    let line = open(AddressFamily::NETLINK, SocketType::DGRAM, Some(netlink::SOCK_DIAG))?;
    send(&line, &message, SendFlags::empty())?;
    let mut answer = [0; 512];
    let (length, _) = recv(&line, &mut answer[..], RecvFlags::empty())?;
    let answer = answer.get(..length).unwrap_or_default();
    let word = |at: usize| {
        let bytes = answer.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
        bytes.map(u32::from_ne_bytes).ok_or(io::ErrorKind::InvalidData)
    };
    let kind = answer.get(4..6).and_then(|bytes| bytes.try_into().ok()).map(u16::from_ne_bytes);
    match kind {
        Some(ERROR) if word(16)?.cast_signed() == NOT_FOUND => Ok(None),
        // After the header and what was asked for come four words, then user and inode.
        Some(BY_FAMILY) => {
            let (user, number) = (word(80)?, u64::from(word(84)?));
            Ok((number != 0).then_some(Socket { user, number }))
        }
        _ => Err(io::ErrorKind::Unsupported.into()),
    }
}

/// Looks it up in the tables of all connections, which takes milliseconds: where the kernel cannot be asked.
fn listed(peer: SocketAddr, own: SocketAddr) -> io::Result<Option<Socket>> {
    let mut has_any = false;
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let text = match fs::read_to_string(table) {
            Ok(text) => text,
            Err(error) if !is_for_now(&error) => continue,
            Err(error) => return Err(error),
        };
        has_any |= text.lines().nth(1).is_some();
        let is_wide = table.ends_with('6');
        let ends = format!(" {} {} ", written(peer, is_wide), written(own, is_wide));
        let Some((_, rest)) = text.split_once(&ends) else { continue };
        // State, queues, timers and retransmissions come first.
        let mut words = rest.split_whitespace();
        let user = words.nth(4).and_then(|word| word.parse().ok());
        let number = words.nth(1).and_then(|word| word.parse().ok());
        let (Some(user), Some(number)) = (user, number) else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        return Ok((number != 0).then_some(Socket { user, number }));
    }
    // There is one connection at least: the one that is asked about.
    if has_any { Ok(None) } else { Err(io::ErrorKind::Unsupported.into()) }
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

/// Whether an address is one of this machine's: what is sent to such an address is sent from it as well. Nothing is sent
/// here to find that out.
pub(super) fn is_of_this_machine(address: IpAddr) -> bool {
    let own = match address {
        IpAddr::V4(_) => SocketAddr::from(([0, 0, 0, 0], 0)),
        IpAddr::V6(_) => SocketAddr::from(([0; 16], 0)),
    };
    let from = || -> io::Result<SocketAddr> {
        let socket = UdpSocket::bind(own)?;
        socket.connect(SocketAddr::new(address, 9))?;
        socket.local_addr()
    };
    // What cannot be reached at all is not here.
    address.is_loopback() || from().is_ok_and(|from| from.ip() == address)
}

/// Whether this process can be without what it needs to read a file only for the moment: files, memory.
fn is_for_now(error: &io::Error) -> bool {
    use rustix::io::Errno;

    let passing = [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::NOBUFS];
    passing.iter().any(|passing| error.raw_os_error() == Some(passing.raw_os_error()))
}

/// The sockets that a process has. `None` if it cannot be inspected, and none if it is gone.
///
/// # Errors
/// If nothing can be told at the moment.
pub(super) fn sockets_of(process: u32) -> io::Result<Option<HashSet<u64>>> {
    sockets_in(Path::new(&format!("/proc/{process}/fd")))
}

/// Those that its threads have, each of which can have files of its own.
///
/// # Errors
/// If nothing can be told at the moment.
pub(super) fn sockets_of_threads(process: u32) -> io::Result<HashSet<u64>> {
    let threads = match fs::read_dir(format!("/proc/{process}/task")) {
        Err(error) if is_for_now(&error) => return Err(error),
        threads => threads.into_iter().flatten().flatten(),
    };
    let mut all = HashSet::new();
    for thread in threads {
        all.extend(sockets_in(&thread.path().join("fd"))?.unwrap_or_default());
    }
    Ok(all)
}

fn sockets_in(files: &Path) -> io::Result<Option<HashSet<u64>>> {
    let entries = match fs::read_dir(files) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(None),
        Err(error) if is_for_now(&error) => return Err(error),
        Err(_) => return Ok(Some(HashSet::new())),
    };
    let number = |entry: fs::DirEntry| -> Option<u64> {
        let link = fs::read_link(entry.path()).ok()?;
        link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
    };
    Ok(Some(entries.flatten().filter_map(number).collect()))
}

/// The processes that can have a socket: those of its user.
///
/// # Errors
/// If they cannot be listed.
pub(super) fn candidates(socket: Socket) -> io::Result<Vec<u32>> {
    let entries = fs::read_dir("/proc")?.flatten();
    let of_user = entries.filter_map(|entry| {
        let process: u32 = entry.file_name().to_str()?.parse().ok()?;
        let user = entry.metadata().ok()?.uid();
        // One that cannot be inspected seems to be the system's.
        let is_its = user == socket.user || user == 0 && users(process)?.contains(&socket.user);
        is_its.then_some(process)
    });
    Ok(of_user.collect())
}

/// The users that a process runs as.
fn users(process: u32) -> Option<Vec<u32>> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    Some(line.split_whitespace().filter_map(|word| word.parse().ok()).collect())
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn both_ways_to_ask_say_the_same() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(address) else { continue };
            let own = listener.local_addr().unwrap();
            let client = TcpStream::connect(own).unwrap();
            let peer = client.local_addr().unwrap();
            let socket = asked(peer, own).unwrap().unwrap();
            assert_eq!(socket.number, listed(peer, own).unwrap().unwrap().number);
            assert_eq!(socket.user, rustix::process::geteuid().as_raw());
            assert!(sockets_of(std::process::id()).unwrap().unwrap().contains(&socket.number));
            let nowhere = SocketAddr::new(own.ip(), 1);
            assert!(asked(nowhere, own).unwrap().is_none());
            assert!(listed(nowhere, own).unwrap().is_none());
        }
    }
}
