//! What a running turn runs on.

use std::sync::Arc;

use tokio_util::task::TaskTracker;

use super::{ThreadId, TurnId};
use crate::codex::{
    app_server::Connection, error::CodexError, exec::Run, process::ExitCause, usage::RateLimits,
};

/// The app-server that all turns share, or a process of its own.
#[derive(Debug, Clone)]
pub(crate) enum Driver {
    AppServer(Arc<Connection>),
    Exec(Arc<Run>),
}

impl Driver {
    /// Asks for the turn to end; how it did is told like everything else.
    pub(super) async fn interrupt(
        &self,
        thread: &ThreadId,
        turn: &TurnId,
    ) -> Result<(), CodexError> {
        match self {
            Self::AppServer(connection) => connection.interrupt(thread, turn).await,
            Self::Exec(run) => {
                run.stop().await;
                Ok(())
            }
        }
    }

    pub(super) async fn steer(
        &self,
        thread: &ThreadId,
        turn: &TurnId,
        prompt: &str,
    ) -> Result<(), CodexError> {
        match self {
            Self::AppServer(connection) => connection.steer(thread, turn, prompt).await,
            Self::Exec(run) => Err(CodexError::Unsupported {
                what: "steering a running turn",
                version: run.version(),
            }),
        }
    }

    pub(super) fn rate_limits(&self) -> Option<RateLimits> {
        match self {
            Self::AppServer(connection) => connection.rate_limits(),
            Self::Exec(_) => None,
        }
    }

    /// Why nothing more is told.
    pub(super) async fn ended(&self) -> ExitCause {
        match self {
            Self::AppServer(connection) => connection.ended().await,
            Self::Exec(run) => run.ended().await,
        }
    }

    pub(super) fn tasks(&self) -> &TaskTracker {
        match self {
            Self::AppServer(connection) => connection.tasks(),
            Self::Exec(run) => run.tasks(),
        }
    }
}
