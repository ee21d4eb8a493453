//! What is asked of a session, what comes back, and the operator's limits on it.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use super::{ModelSource, SessionConfig, SessionError, SessionName, Settings};
use crate::codex::{
    ApprovalPolicy, CommandRun, FileChange, Sandbox, ThreadId, TurnId, TurnStatus, Usage,
};

/// One turn to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What the user says.
    pub prompt: String,
    /// What this call chooses; it stays with the session.
    pub settings: Settings,
    /// Whether to forget the conversation first.
    pub reset: bool,
}

/// How a turn relates to what was said before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Continuity {
    /// There was nothing before.
    New,
    /// Codex's own thread went on.
    Resumed,
    /// The thread was not available; a new one was given our record of the last turns.
    Rebuilt,
}

/// What a turn came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// The session it ran in.
    pub session: SessionName,
    /// The Codex thread it ran on.
    pub thread_id: ThreadId,
    /// Codex's name for the turn.
    pub turn_id: TurnId,
    /// The turn's place in the session.
    pub number: u32,
    /// How it ended.
    pub status: TurnStatus,
    /// The answer.
    pub response: String,
    /// How it relates to what was before.
    pub continuity: Continuity,
    /// The model that answered, if known.
    pub model: Option<String>,
    /// Why that one.
    pub model_source: ModelSource,
    /// How hard it thought, if known.
    pub reasoning_effort: Option<String>,
    /// What commands could touch, if known.
    pub sandbox: Option<Sandbox>,
    /// When Codex asked.
    pub approval_policy: ApprovalPolicy,
    /// Where commands ran.
    pub working_directory: PathBuf,
    /// Tokens.
    pub usage: Option<Usage>,
    /// How long the turn took.
    pub duration: Duration,
    /// Commands that ran.
    pub commands: Vec<CommandRun>,
    /// Files that changed.
    pub files_changed: Vec<FileChange>,
    /// How Codex was driven.
    pub engine: &'static str,
    /// The Codex that ran it.
    pub codex_version: String,
    /// What the caller should know besides.
    pub warnings: Vec<String>,
}

impl Continuity {
    /// The word for it on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Resumed => "resumed",
            Self::Rebuilt => "rebuilt",
        }
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
