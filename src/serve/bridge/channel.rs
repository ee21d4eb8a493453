//! The way to whoever serves: a host's socket, or a server of our own where no host can be had.

use std::{
    ffi::OsString,
    io,
    net::Shutdown,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
    path::{Path, PathBuf},
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use crate::serve::{
    Role,
    host::{Ask, ClientAbout, Hello, HostFiles, WELCOME_LIMIT, Welcome, introduce_now},
};

/// How long finding or starting a host may take.
const FIND_LIMIT: Duration = Duration::from_secs(10);

/// How long a server of our own may take to end.
const END_LIMIT: Duration = Duration::from_secs(10);

/// How often to check whether it is found, or has ended.
const POLL: Duration = Duration::from_millis(1);

/// How often a host that ends in this very moment is followed by another.
const TRIES: usize = 3;

/// Whoever serves.
#[derive(Debug)]
pub(super) enum Channel {
    /// A host, and its socket's path.
    Host(UnixStream, PathBuf),
    /// A server of our own, which ends with its input.
    Server {
        /// What it reads, until that has been closed.
        input: Option<OwnedFd>,
        /// What it writes.
        output: OwnedFd,
        _process: Reaped,
    },
}

/// A process of ours. Dropped, it is ended if it has not ended by itself, and waited for.
#[derive(Debug)]
pub(super) struct Reaped(Child);

impl Drop for Reaped {
    fn drop(&mut self) {
        let deadline = Instant::now() + END_LIMIT;
        while Instant::now() < deadline {
            match self.0.try_wait() {
                Ok(None) => std::thread::sleep(POLL),
                _ => return,
            }
        }
        // It hangs.
        let _ = self.0.kill().and_then(|()| self.0.wait());
    }
}

impl Channel {
    /// Where its lines come from.
    pub(super) fn reader(&self) -> BorrowedFd<'_> {
        match self {
            Self::Host(stream, _) => stream.as_fd(),
            Self::Server { output, .. } => output.as_fd(),
        }
    }

    /// Where lines to it go.
    pub(super) fn writer(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Host(stream, _) => Some(stream.as_fd()),
            Self::Server { input, .. } => input.as_ref().map(AsFd::as_fd),
        }
    }

    /// Tells it that no more lines will come.
    pub(super) fn finish(&mut self) {
        match self {
            // If that fails it has ended already, which reading tells.
            Self::Host(stream, _) => drop(stream.shutdown(Shutdown::Write)),
            Self::Server { input, .. } => drop(input.take()),
        }
    }

    /// Whether it still says how it is. A server of our own is not asked: it has our own fate.
    pub(super) fn answers(&self) -> bool {
        let Self::Host(_, socket) = self else { return true };
        greet(socket, &Hello { key: None, ask: Ask::Status }).is_ok()
    }
}

/// How to find a host again, or to do without.
#[derive(Debug, Clone)]
pub(super) struct HostFinder {
    /// This program.
    pub(super) executable: PathBuf,
    /// What the client started it with.
    pub(super) arguments: Vec<OsString>,
}

impl HostFinder {
    /// Connects to a host, which is started if there is none. `files` are those of the one to be expected.
    ///
    /// # Errors
    /// If none can be had.
    pub(super) fn find(
        &self,
        mut files: Option<HostFiles>,
        client: &ClientAbout,
    ) -> io::Result<Channel> {
        let mut tried = 0;
        loop {
            let found = match files.take() {
                Some(files) => files,
                None => self.files()?,
            };
            tried += 1;
            match connect(&found, client) {
                Err(error) if !is_late(&error) && tried < TRIES => {
                    // It ended in this very moment, so the next one is not the same.
                }
                connected => return connected,
            }
        }
    }

    /// Where a host is now, which is started if there is none.
    fn files(&self) -> io::Result<HostFiles> {
        let mut finder = self.start(Role::Finder, Stdio::null())?;
        let deadline = Instant::now() + FIND_LIMIT;
        // What it prints is short and fits into the pipe.
        while finder.try_wait()?.is_none() {
            if Instant::now() > deadline {
                finder.kill()?;
            }
            std::thread::sleep(POLL);
        }
        Ok(serde_json::from_slice(&finder.wait_with_output()?.stdout)?)
    }

    /// Starts a server for this client alone.
    pub(super) fn serve(&self) -> io::Result<Channel> {
        let mut server = self.start(Role::Server, Stdio::piped())?;
        match (server.stdin.take(), server.stdout.take()) {
            (Some(input), Some(output)) => Ok(Channel::Server {
                input: Some(input.into()),
                output: output.into(),
                _process: Reaped(server),
            }),
            _ => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn start(&self, role: Role, input: Stdio) -> io::Result<Child> {
        let mut command = role.command(&self.executable);
        command.args(&self.arguments).stdin(input).stdout(Stdio::piped()).spawn()
    }
}

/// Connects to a host and introduces the client.
fn connect(files: &HostFiles, client: &ClientAbout) -> io::Result<Channel> {
    let ask = Ask::Serve(client.clone());
    let socket = files.socket();
    match greet(&socket, &Hello { key: Some(files.key().clone()), ask })? {
        (stream, Welcome::Served { .. }) => Ok(Channel::Host(stream, socket)),
        (_, Welcome::Refused(reason)) => Err(io::Error::other(reason)),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

fn greet(socket: &Path, hello: &Hello) -> io::Result<(UnixStream, Welcome)> {
    let mut stream = UnixStream::connect(socket)?;
    let welcome = introduce_now(hello, &mut stream, WELCOME_LIMIT)?;
    Ok((stream, welcome))
}

fn is_late(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}
