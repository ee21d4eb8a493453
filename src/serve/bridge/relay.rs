//! The bridge at work: lines from the client to its host and back, until the client leaves.
//!
//! One thread without a runtime, which waits for whatever can be read or written: a bridge is all that many windows
//! cost, so it touches as little of this program as it can.

use std::{
    ffi::OsString,
    io::{self, Read},
    os::{fd::AsFd, unix::net::UnixStream},
    path::PathBuf,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    stdio::{stdin, stdout},
};
use serde::{Deserialize, Serialize};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::{
    channel::{Channel, HostFinder},
    line_reader::LineReader,
    open_calls::{Lost, OpenCalls, Said},
    send_queue::SendQueue,
};
use crate::{
    config::Log,
    serve::{
        host::{ClientAbout, HostFiles},
        lines::{Line, LineDecoder},
        message,
        transport::LONGEST,
    },
};

/// The longest line of a host: as long as it likes.
const ANY_LENGTH: usize = usize::MAX / 4;

/// How long the host may take to end the connection once the client has left.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a host that owes an answer may say nothing before it is asked whether it lives.
const SILENCE: Duration = Duration::from_secs(10);

/// How often it is asked before it counts as hung.
const PROBES: usize = 3;

/// How many hosts may end one after the other without having said anything.
const FAILED_STARTS: u32 = 4;

/// How much longer is waited before each of these.
const PAUSE: Duration = Duration::from_millis(100);

/// What a bridge is started with.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BridgeConfig {
    /// Where the host is.
    pub files: HostFiles,
    pub client: ClientAbout,
    /// This program.
    pub executable: PathBuf,
    /// What to log.
    pub log: Log,
}

/// Why a bridge ends.
#[derive(Debug, thiserror::Error)]
pub enum BridgeError {
    /// No host would have us. Nothing has been read from the client.
    #[error("no host at {} serves", socket.display())]
    NoHost {
        /// Where one was expected.
        socket: PathBuf,
        #[source]
        source: io::Error,
    },
    /// A second signal asked to end without delay.
    #[error("ended at once")]
    AtOnce,
    /// The system does not let us wait.
    #[error("cannot wait for the client and the host")]
    Wait(#[source] io::Error),
}

/// Passes lines on until the client leaves or a signal asks to end. `arguments` are what the client started this
/// program with; `start_log` is called before the first line of the log.
///
/// # Errors
/// [`BridgeError`]. A host that ends is followed by another, or by a server of our own. As long as there is neither,
/// the client's requests are refused; it may not start a server again that has ended.
pub fn relay(
    config: BridgeConfig,
    arguments: Vec<OsString>,
    start_log: impl Fn(&Log),
) -> Result<(), BridgeError> {
    let BridgeConfig { files, client: about, executable, log } = config;
    let finder = HostFinder { executable, arguments };
    let socket = files.socket();
    let found = finder.find(Some(files), &about);
    let host = found.map_err(|source| BridgeError::NoHost { socket, source })?;
    let signals = signals().map_err(BridgeError::Wait)?;
    let mut bridge = Bridge {
        client: Side::new(LineReader::new(LineDecoder::new(LONGEST))),
        host: Side::new(of_host()),
        channel: Some(host),
        calls: OpenCalls::default(),
        is_needed: false,
        takes_no_more: false,
        failed_starts: 0,
        silent_at: Instant::now() + SILENCE,
        silent_probes: 0,
        left_at: None,
        is_signalled: false,
    };
    loop {
        match bridge.pass(&signals)? {
            Passed::On => {}
            Passed::ClientGone => return Ok(()),
            Passed::HostGone(reason) => {
                start_log(&log);
                tracing::warn!(reason, "the host serves no more");
                bridge.lose_host();
            }
        }
        if bridge.needs_host() {
            if bridge.failed_starts >= FAILED_STARTS {
                start_log(&log);
                tracing::error!("whoever is started to serve this client ends without a word");
                bridge.give_up();
                continue;
            }
            std::thread::sleep(PAUSE * bridge.failed_starts.saturating_sub(1));
            let found = finder.find(None, &about).or_else(|error| {
                start_log(&log);
                tracing::warn!(%error, "no host can be had; this client has a server of its own");
                finder.serve()
            });
            match found {
                Ok(channel) => bridge.begin(channel),
                Err(error) => {
                    tracing::error!(%error, "nobody can serve this client");
                    bridge.give_up();
                }
            }
        }
    }
}

/// What became of some waiting.
enum Passed {
    On,
    ClientGone,
    HostGone(&'static str),
}

/// Lines from and to one side.
struct Side {
    from: LineReader,
    to: SendQueue,
}

struct Bridge {
    client: Side,
    host: Side,
    /// None while a dead host is not needed.
    channel: Option<Channel>,
    calls: OpenCalls,
    /// Whether another host is needed, even if the client says nothing more.
    is_needed: bool,
    /// Whether the host takes no more lines. What it has said before is still to be read.
    takes_no_more: bool,
    /// How many hosts have ended since one has said anything.
    failed_starts: u32,
    /// When a host that owes an answer is asked how it is.
    silent_at: Instant,
    /// How often it has not said how it is.
    silent_probes: usize,
    /// When the client closed its end, or a signal came.
    left_at: Option<Instant>,
    is_signalled: bool,
}

/// What can be read and written without a wait.
#[expect(clippy::struct_excessive_bools, reason = "each stands for a stream")]
struct Ready {
    signal: bool,
    from_client: bool,
    to_client: bool,
    from_host: bool,
    to_host: bool,
}

impl Side {
    fn new(from: LineReader) -> Self {
        Self { from, to: SendQueue::default() }
    }
}

/// What comes from a host. A line that it died over is not whole.
fn of_host() -> LineReader {
    LineReader::new(LineDecoder::of_whole_lines(ANY_LENGTH))
}

impl Bridge {
    /// Waits for something to pass on, and does.
    fn pass(&mut self, signals: &UnixStream) -> Result<Passed, BridgeError> {
        let ready = self.wait(signals).map_err(BridgeError::Wait)?;
        if ready.signal {
            let count = (&*signals).read(&mut [0; 8]).unwrap_or_default();
            if self.is_signalled || count > 1 {
                return Err(BridgeError::AtOnce);
            }
            self.is_signalled = true;
            self.leave();
        }
        if ready.to_client && self.client.to.write(stdout()).is_err() {
            self.leave();
            return Ok(Passed::ClientGone);
        }
        if let Some(passed) = self.with_host(&ready) {
            return Ok(passed);
        }
        if ready.from_client && !self.read_client() {
            self.leave();
        }
        if self.left_at.is_some() && self.host.to.is_empty() {
            self.channel.iter_mut().for_each(Channel::finish);
        }
        let is_drained = self.channel.is_none() && self.client.to.is_empty();
        let is_late = self.left_at.is_some_and(|at| at.elapsed() > DRAIN_TIMEOUT);
        if self.left_at.is_some() && (is_drained || is_late) {
            return Ok(Passed::ClientGone);
        }
        Ok(Passed::On)
    }

    /// What can be done with the host. Says something if it is gone.
    fn with_host(&mut self, ready: &Ready) -> Option<Passed> {
        let channel = self.channel.as_mut()?;
        if ready.to_host
            && let Some(writer) = channel.writer()
        {
            match self.host.to.write(writer) {
                Ok(Some(line)) => {
                    if !self.calls.is_waiting() {
                        self.silent_at = Instant::now() + SILENCE;
                    }
                    self.calls.said(&line);
                }
                Ok(None) => {}
                // Reading tells what it had to say before.
                Err(_) => self.takes_no_more = true,
            }
        }
        if ready.from_host {
            let goes_on = self.host.from.read(channel.reader());
            self.silent_at = Instant::now() + SILENCE;
            self.silent_probes = 0;
            while let Some(Line::Whole(line)) = self.host.from.next() {
                self.failed_starts = 0;
                if let Some(line) = self.calls.heard(&line) {
                    self.client.to.add(&line);
                }
            }
            if !goes_on.unwrap_or_default() {
                if self.left_at.is_some() {
                    self.channel = None;
                    return None;
                }
                return Some(Passed::HostGone("it has ended"));
            }
        } else if self.calls.is_waiting() && Instant::now() >= self.silent_at {
            self.silent_probes = if channel.answers() { 0 } else { self.silent_probes + 1 };
            self.silent_at = Instant::now() + SILENCE / 2;
            if self.silent_probes >= PROBES {
                return Some(Passed::HostGone("it does not answer any more"));
            }
        }
        None
    }

    /// Returns false once the client has closed its end.
    fn read_client(&mut self) -> bool {
        let goes_on = self.client.from.read(stdin()).unwrap_or_default();
        while let Some(line) = self.client.from.next() {
            match line {
                Line::Whole(line) => match self.calls.pass(&line) {
                    Said::Request(line) => self.host.to.add(line),
                    Said::Answer(line) => self.host.to.add_for_this(&line),
                    Said::Stray => {}
                },
                Line::TooLong => {
                    self.client.to.add(message::too_long(LONGEST).to_string().as_bytes());
                }
            }
        }
        goes_on
    }

    fn leave(&mut self) {
        self.left_at.get_or_insert_with(Instant::now);
    }

    /// Tells the client what its dead host will not answer, and gets ready for another one.
    fn lose_host(&mut self) {
        self.channel = None;
        self.host.from = of_host();
        self.silent_probes = 0;
        self.failed_starts += 1;
        let Lost { to_client, to_host } = self.calls.lost();
        self.is_needed = self.calls.is_listening();
        for line in to_client {
            self.client.to.add(&line);
        }
        self.host.to.restart(&to_host);
    }

    fn needs_host(&self) -> bool {
        let is_needed = self.is_needed || self.host.to.is_needed();
        self.channel.is_none() && self.left_at.is_none() && is_needed
    }

    fn begin(&mut self, channel: Channel) {
        self.channel = Some(channel);
        self.is_needed = false;
        self.takes_no_more = false;
        self.silent_at = Instant::now() + SILENCE;
    }

    /// Refuses what the client waits for, because nobody can serve it now. What it says next is tried again.
    fn give_up(&mut self) {
        for line in self.host.to.take_requests() {
            self.calls.said(&line);
        }
        for line in self.calls.refused() {
            self.client.to.add(&line);
        }
        self.failed_starts = 0;
        self.is_needed = false;
        self.host.to.restart(&self.calls.lost().to_host);
    }

    /// Waits until something can be done.
    fn wait(&self, signals: &UnixStream) -> io::Result<Ready> {
        let channel = self.channel.as_ref();
        let can_take = self.left_at.is_none() && !self.host.to.is_full();
        let asked = [
            (Some(signals.as_fd()), PollFlags::IN),
            (can_take.then(stdin), PollFlags::IN),
            ((!self.client.to.is_empty()).then(stdout), PollFlags::OUT),
            (channel.filter(|_| !self.client.to.is_full()).map(Channel::reader), PollFlags::IN),
            (
                channel
                    .filter(|_| !self.host.to.is_empty() && !self.takes_no_more)
                    .and_then(Channel::writer),
                PollFlags::OUT,
            ),
        ];
        let fds =
            asked.iter().filter_map(|(fd, flags)| Some(PollFd::from_borrowed_fd((*fd)?, *flags)));
        let mut fds: Vec<_> = fds.collect();
        let limit = self.limit().map(|limit| Timespec {
            tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: limit.subsec_nanos().into(),
        });
        match poll(&mut fds, limit.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let mut found = fds.iter().map(|fd| !fd.revents().is_empty());
        let [signal, from_client, to_client, from_host, to_host] =
            asked.map(|(fd, _)| fd.is_some() && found.next().unwrap_or_default());
        Ok(Ready { signal, from_client, to_client, from_host, to_host })
    }

    /// How long to wait at most.
    fn limit(&self) -> Option<Duration> {
        let left = self.left_at.map(|at| DRAIN_TIMEOUT.saturating_sub(at.elapsed()));
        let owes = self.channel.is_some() && self.calls.is_waiting();
        let silent = owes.then(|| self.silent_at.saturating_duration_since(Instant::now()));
        left.into_iter().chain(silent).min()
    }
}

/// What can be read once a signal has come that asks to end. From now on these do not end the process by themselves.
fn signals() -> io::Result<UnixStream> {
    let (ours, signal) = UnixStream::pair()?;
    for number in [SIGTERM, SIGINT, SIGHUP] {
        signal_hook::low_level::pipe::register(number, signal.try_clone()?)?;
    }
    Ok(ours)
}
