//! Waiting for a thread that another process holds, for as long as that may be about to release it.

use std::time::Duration;

use tokio::time::Instant;

use crate::codex::CodexError;

/// The pause between attempts.
const PAUSE: Duration = Duration::from_millis(50);

/// How long a thread may seem to be held. The Codex of a server that died or released the session needs a moment to
/// release the thread.
const TIMEOUT: Duration = Duration::from_secs(2);

/// How long there has been an attempt to get the thread.
#[derive(Debug)]
pub(super) struct HeldTimeout(Instant);

impl HeldTimeout {
    pub(super) fn begin() -> Self {
        Self(Instant::now())
    }

    /// Whether to try again after `error`; then a moment has passed.
    pub(super) async fn tries_again(&self, error: &CodexError) -> bool {
        let tries = matches!(error, CodexError::ActiveWriter { .. }) && self.0.elapsed() < TIMEOUT;
        if tries {
            tokio::time::sleep(PAUSE).await;
        }
        tries
    }
}
