//! Asking all hosts of this user how they are, or to end. Waits as a program that has nothing else to do.

use std::{
    fs, io,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    thread::sleep,
    time::{Duration, Instant},
};

use rustix::process::Pid;

use super::{
    HostStatus,
    hello::{Ask, Hello, Welcome, introduce_now},
};

/// How long a host may take to answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// How long a host may take to end: it records its turns and ends Codex.
const END_LIMIT: Duration = Duration::from_secs(15);

/// How often is looked whether it has ended.
const LOOK: Duration = Duration::from_millis(10);

/// What became of hosts that were asked to end.
#[derive(Debug, Default)]
pub struct Stopped {
    /// Those that have ended.
    pub ended: Vec<HostStatus>,
    /// Those that go on, because turns run in them.
    pub busy: Vec<HostStatus>,
    /// Those that said they would end and have not.
    pub late: Vec<HostStatus>,
}

/// How each host of this user in these folders is. One that does not answer is left out.
pub fn statuses(folders: &[PathBuf]) -> Vec<HostStatus> {
    let answers = sockets(folders).filter_map(|socket| ask(&socket, Ask::Status).ok());
    let mut found: Vec<_> = answers
        .filter_map(|answer| match answer {
            Welcome::Status(status) => Some(status),
            _ => None,
        })
        .collect();
    found.sort_by_key(|status| status.pid);
    found
}

/// Asks each host of this user in these folders to end, and waits until they have.
pub fn stop(folders: &[PathBuf], force: bool) -> Stopped {
    let mut stopped = Stopped::default();
    let mut ending = Vec::new();
    for socket in sockets(folders) {
        match ask(&socket, Ask::Stop { force }) {
            Ok(Welcome::Stopping(status)) => ending.push(status),
            Ok(Welcome::Busy(status)) => stopped.busy.push(status),
            _ => {}
        }
    }
    let deadline = Instant::now() + END_LIMIT;
    for status in ending {
        while lives(status.pid) && Instant::now() < deadline {
            sleep(LOOK);
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

fn ask(socket: &Path, ask: Ask) -> io::Result<Welcome> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(ANSWER_LIMIT))?;
    introduce_now(&Hello { key: None, ask }, &mut stream)
}
