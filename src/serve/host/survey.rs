//! Asking all hosts of this user how they are, or to end. Waits as a program that has nothing else to do.

use std::{
    fs, io,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    thread::sleep,
    time::{Duration, Instant},
};

use rustix::process::Pid;
use serde::Serialize;

use super::{
    HostStatus,
    hello::{Ask, Hello, Welcome, introduce_now},
};

/// How long a host may take to answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// How long a host may take to end: it records its turns and ends Codex.
const END_LIMIT: Duration = Duration::from_secs(15);

/// How often to check whether it has ended.
const POLL: Duration = Duration::from_millis(10);

/// What became of hosts that were asked to end.
#[derive(Debug, Default)]
pub struct Stopped {
    /// Those that have ended.
    pub ended: Vec<HostStatus>,
    /// Those that go on, because turns run in them.
    pub busy: Vec<HostStatus>,
    /// Those that said they would end and have not.
    pub late: Vec<HostStatus>,
    /// Those that do not answer.
    pub silent: Vec<SilentHost>,
}

/// A host that takes connections and does not answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SilentHost {
    /// Its process, where the system says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    pub socket: PathBuf,
}

/// The hosts of this user.
#[derive(Debug, Default, Serialize)]
pub struct Survey {
    /// How each that answers is.
    pub hosts: Vec<HostStatus>,
    /// Those that do not answer.
    pub silent: Vec<SilentHost>,
}

/// How each host of this user in these folders is.
pub fn survey(folders: &[PathBuf]) -> Survey {
    let mut survey = Survey::default();
    for socket in sockets(folders) {
        match ask(&socket, Ask::Status) {
            Response::Answered(Welcome::Status(status)) => survey.hosts.push(status),
            Response::Answered(_) | Response::Nobody => {}
            Response::Silent(host) => survey.silent.push(host),
        }
    }
    survey.hosts.sort_by_key(|status| status.pid);
    survey
}

/// Asks each host of this user in these folders to end, and waits until they have.
pub fn stop(folders: &[PathBuf], force: bool) -> Stopped {
    let mut stopped = Stopped::default();
    let mut ending = Vec::new();
    for socket in sockets(folders) {
        match ask(&socket, Ask::Stop { force }) {
            Response::Answered(Welcome::Stopping(status)) => ending.push(status),
            Response::Answered(Welcome::Busy(status)) => stopped.busy.push(status),
            Response::Answered(_) | Response::Nobody => {}
            Response::Silent(host) => stopped.silent.push(host),
        }
    }
    let deadline = Instant::now() + END_LIMIT;
    for status in ending {
        while lives(status.pid) && Instant::now() < deadline {
            sleep(POLL);
        }
        if lives(status.pid) { &mut stopped.late } else { &mut stopped.ended }.push(status);
    }
    stopped
}

fn lives(process: u32) -> bool {
    let process = i32::try_from(process).ok().and_then(Pid::from_raw);
    process.is_some_and(|process| rustix::process::test_kill_process(process).is_ok())
}

fn sockets(folders: &[PathBuf]) -> impl Iterator<Item = PathBuf> {
    let entries = folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    paths.filter(|path| path.extension().is_some_and(|ending| ending == "sock"))
}

enum Response {
    Answered(Welcome),
    Silent(SilentHost),
    /// The socket of a host that has died.
    Nobody,
}

fn ask(socket: &Path, ask: Ask) -> Response {
    let Ok(mut stream) = UnixStream::connect(socket) else { return Response::Nobody };
    #[cfg(target_os = "linux")]
    let pid = rustix::net::sockopt::socket_peercred(&stream).ok();
    #[cfg(target_os = "linux")]
    let pid = pid.and_then(|peer| u32::try_from(peer.pid.as_raw_nonzero().get()).ok());
    #[cfg(not(target_os = "linux"))]
    let pid = None;
    match introduce_now(&Hello { key: None, ask }, &mut stream, ANSWER_LIMIT) {
        Ok(welcome) => Response::Answered(welcome),
        // It has ended in this moment.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Response::Nobody,
        Err(_) => Response::Silent(SilentHost { pid, socket: socket.to_owned() }),
    }
}
