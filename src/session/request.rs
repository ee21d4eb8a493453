//! What is asked of a session, what comes back, and the operator's limits on it.

use std::{path::Path, time::Duration};

use super::{SessionConfig, SessionError, SessionName, SessionStatus, Settings, TurnRecord};
use crate::codex::Sandbox;

/// One turn to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What the user says.
    pub prompt: String,
    /// What this call chooses; it stays with the session.
    pub settings: Settings,
    /// Whether to forget the conversation first.
    pub reset: bool,
    /// What to do when the session is busy.
    pub on_busy: OnBusy,
    /// How long the turn may take; the operator's limit if none.
    pub timeout: Option<Duration>,
    /// Whether somebody can be asked what Codex asks.
    pub can_ask: bool,
}

/// What to do when the session is running a turn already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnBusy {
    /// Wait for it, in the order of the calls.
    #[default]
    Queue,
    /// Say it to the running turn.
    Steer,
    /// Do nothing.
    Reject,
}

/// What came of a call: its turn, over or still running.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// The session it ran in.
    pub session: SessionName,
    /// The turn, as it is recorded.
    pub turn: TurnRecord,
}

impl Reply {
    /// Whether the turn is over.
    pub fn is_over(&self) -> bool {
        self.turn.status != SessionStatus::Running
    }
}

impl Request {
    /// Checks what can be checked before a session is touched.
    pub(super) fn check(&self, config: &SessionConfig) -> Result<(), SessionError> {
        if self.prompt.trim().is_empty() {
            return Err(SessionError::PromptEmpty);
        }
        let length = self.prompt.chars().count();
        if length > config.max_prompt {
            return Err(SessionError::PromptTooLong { length, limit: config.max_prompt });
        }
        if let Some(asked) = self.settings.sandbox {
            check_sandbox(asked, config)?;
        }
        match &self.settings.working_directory {
            Some(path) => check_directory(path),
            None => Ok(()),
        }
    }
}

/// A sandbox pinned before the ceiling was lowered is above it too.
pub(super) fn check_sandbox(asked: Sandbox, config: &SessionConfig) -> Result<(), SessionError> {
    let ceiling = config.sandbox_ceiling;
    if asked > ceiling {
        return Err(SessionError::SandboxAboveCeiling { asked, ceiling });
    }
    Ok(())
}

/// Codex itself would take a directory that is not there and run the turn (observed, all versions).
pub(super) fn check_directory(path: &Path) -> Result<(), SessionError> {
    let failed = |reason: String| SessionError::Directory { path: path.to_owned(), reason };
    match std::fs::read_dir(path) {
        Ok(_) => Ok(()),
        Err(error) => Err(failed(match error.kind() {
            std::io::ErrorKind::NotFound => "it does not exist".to_owned(),
            std::io::ErrorKind::NotADirectory => "it is not a directory".to_owned(),
            _ => error.to_string(),
        })),
    }
}
