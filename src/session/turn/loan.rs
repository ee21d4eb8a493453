//! A session at rest, lent by its actor: its lease, and its thread if that is loaded.

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::loaded::Loaded;
use crate::session::lease::LeaseGuard;

/// The lease of a session of which no turn runs or waits. Dropping it gives up lease and thread.
#[derive(Debug)]
pub(in crate::session) struct Loan {
    pub(super) guard: LeaseGuard,
    pub(super) loaded: Option<Loaded>,
    pub(super) back: oneshot::Sender<(LeaseGuard, Option<Loaded>)>,
    pub(super) closing: CancellationToken,
}

impl Loan {
    pub(in crate::session) fn guard(&self) -> &LeaseGuard {
        &self.guard
    }

    /// Releases the thread, so that any other process can open it.
    pub(in crate::session) async fn unload(&mut self) {
        if let Some(loaded) = self.loaded.take() {
            loaded.release(&self.closing).await;
        }
    }

    /// Takes the lease for good.
    pub(in crate::session) async fn keep(mut self) -> LeaseGuard {
        self.unload().await;
        self.guard
    }

    /// Gives the session back to its actor.
    pub(in crate::session) fn give_back(self) {
        // Fails if the actor is gone, and all with it.
        let _ = self.back.send((self.guard, self.loaded));
    }
}
