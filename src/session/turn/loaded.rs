//! A thread that an actor has open.

use tokio_util::sync::CancellationToken;

use crate::{
    codex::{Thread, ThreadSettings},
    session::model::ModelChoice,
};

/// A thread that is ready for the next turn.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) thread: Thread,
    /// What it was opened with.
    pub(super) settings: ThreadSettings,
    /// The model of the next turn, and who chose it.
    pub(super) choice: ModelChoice,
    /// The model of a turn for which nobody names one.
    pub(super) unnamed: ModelChoice,
    /// Whether Codex holds its own queue back: it does so after a turn that was interrupted, until another one has ended.
    pub(super) is_held: bool,
}

impl Loaded {
    pub(super) fn new(thread: Thread, settings: ThreadSettings, choice: ModelChoice) -> Self {
        Self { thread, settings, unnamed: choice.clone(), choice, is_held: false }
    }

    /// Releases the thread, so that any other process can open it.
    pub(super) async fn release(self, closing: &CancellationToken) {
        // On shutdown Codex ends, and its locks with it.
        if self.thread.is_open() && !closing.is_cancelled() {
            self.thread.release().await;
        }
    }
}
