//! The signals that end the program.

use std::{io, sync::Arc};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Tells the server to end.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    /// End in order: interrupt and record turns, answer calls.
    pub asked: CancellationToken,
    /// End now, without waiting for turns or clients.
    pub at_once: CancellationToken,
    /// The terminal is gone, or files are to be read again.
    pub hangup: Arc<Notify>,
}

impl Shutdown {
    /// Waits until the end is asked for. At a hangup `reload` is called; it says whether it goes on.
    pub(super) async fn asked_or_reload(&self, reload: impl Fn() -> bool) {
        loop {
            tokio::select! {
                () = self.asked.cancelled() => return,
                () = self.hangup.notified() => if !reload() {
                    self.asked.cancel();
                    return;
                },
            }
        }
    }
}

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asks {
    /// To end.
    End,
    /// To read files again, if the program has such, and else to end: the terminal is gone.
    Hangup,
}

/// Listens for the signals that ask the program to end.
#[derive(Debug)]
pub struct Signals {
    #[cfg(unix)]
    all: [tokio::signal::unix::Signal; 3],
}

impl Signals {
    /// Begins to listen. From then on the signals do not end the process by themselves.
    ///
    /// # Errors
    /// If signals cannot be listened to.
    pub fn listen() -> io::Result<Self> {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};

            let kinds = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()];
            let [terminate, interrupt, hangup] = kinds.map(signal);
            Ok(Self { all: [terminate?, interrupt?, hangup?] })
        }
        #[cfg(not(unix))]
        Ok(Self {})
    }

    /// Waits for the next signal.
    pub async fn next(&mut self) -> Asks {
        #[cfg(unix)]
        {
            let [terminate, interrupt, hangup] = &mut self.all;
            tokio::select! {
                _ = terminate.recv() => Asks::End,
                _ = interrupt.recv() => Asks::End,
                _ = hangup.recv() => Asks::Hangup,
            }
        }
        #[cfg(not(unix))]
        match tokio::signal::ctrl_c().await {
            Ok(()) => Asks::End,
            Err(_) => std::future::pending().await,
        }
    }
}
