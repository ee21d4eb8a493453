//! What a thread and a turn are started with, in Codex's own words.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What commands that Codex runs may touch. Ordered from the least to the most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sandbox {
    /// They may read.
    ReadOnly,
    /// They may write in the working directory.
    WorkspaceWrite,
    /// They may do anything.
    DangerFullAccess,
}

/// When Codex asks before it runs something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ApprovalPolicy {
    /// Before everything that is not known to be harmless.
    Untrusted,
    /// When the model wants to leave the sandbox.
    OnRequest,
    /// Never: what needs an approval is refused.
    Never,
}

/// The settings of a thread. They are sent at every start and resume, because what a resume inherits
/// differs by version.
#[derive(Debug, Clone, PartialEq)]
pub struct ThreadSettings {
    /// Where commands run.
    pub cwd: PathBuf,
    /// None leaves the choice to Codex.
    pub model: Option<String>,
    /// Always sent; what a resume inherits differs by version.
    pub sandbox: Sandbox,
    /// Always sent; Codex's own default for the app-server is to ask.
    pub approval_policy: ApprovalPolicy,
    /// Keeps no record of the thread.
    pub ephemeral: bool,
}

/// One turn on an open thread.
#[derive(Debug, Clone, PartialEq)]
pub struct TurnRequest {
    /// What the user says.
    pub prompt: String,
    /// Where commands run.
    pub cwd: PathBuf,
    /// None keeps the thread's.
    pub model: Option<String>,
    /// None keeps the thread's.
    pub effort: Option<String>,
    /// When to ask.
    pub approval_policy: ApprovalPolicy,
}

/// A piece of an earlier conversation, given to a thread that has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextItem {
    /// Who said it.
    pub speaker: Speaker,
    /// What was said.
    pub text: String,
}

/// Who said something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaker {
    /// The user.
    User,
    /// The model.
    Assistant,
}

impl Sandbox {
    /// The name Codex and our own arguments use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReadOnly => "read-only",
            Self::WorkspaceWrite => "workspace-write",
            Self::DangerFullAccess => "danger-full-access",
        }
    }
}

impl ApprovalPolicy {
    /// The name Codex and our own arguments use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Untrusted => "untrusted",
            Self::OnRequest => "on-request",
            Self::Never => "never",
        }
    }
}
