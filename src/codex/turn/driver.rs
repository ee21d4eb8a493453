//! What a turn needs of the engine that runs it.

use std::fmt;

use tokio_util::task::TaskTracker;

use super::{ThreadId, TurnId};
use crate::codex::{error::CodexError, process::ExitCause, usage::RateLimits};

/// The app-server that all turns share, or a process of the turn's own.
#[async_trait::async_trait]
pub(crate) trait Driver: fmt::Debug + Send + Sync {
    /// Asks for the turn to end. Its end is reported like every other.
    async fn interrupt(&self, thread: &ThreadId, turn: &TurnId) -> Result<(), CodexError>;

    /// Adds something to the running turn.
    async fn steer(&self, thread: &ThreadId, turn: &TurnId, prompt: &str)
    -> Result<(), CodexError>;

    /// Waits until nothing more can be reported, and says why.
    async fn ended(&self) -> ExitCause;

    /// The account's allowance, as last reported.
    fn rate_limits(&self) -> Option<RateLimits>;

    /// Where a task that outlives the turn can run.
    fn tasks(&self) -> &TaskTracker;
}
