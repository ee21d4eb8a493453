//! What callers choose for a session.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Limits;
use crate::codex::{ApprovalPolicy, Reviewer, Sandbox, ThreadInfo};

/// What a call can set and a session keeps. A field is `None` if nobody has set it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Settings {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// How hard the model thinks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_effort: Option<String>,
    /// What commands may touch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<Sandbox>,
    /// When Codex asks for approval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval_policy: Option<ApprovalPolicy>,
    /// Where commands run; absolute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub working_directory: Option<PathBuf>,
    /// Where commands may write besides; absolute. Only with [`Sandbox::WorkspaceWrite`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub writable_roots: Option<Vec<PathBuf>>,
    /// Whether commands may use the network. Only with [`Sandbox::WorkspaceWrite`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<bool>,
    /// Who decides what Codex asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approvals_reviewer: Option<Reviewer>,
    /// Whether Codex works in a git worktree of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worktree: Option<bool>,
}

impl Settings {
    /// The settings of a session that adopts a thread: those of the thread's last turn, as far as Codex has recorded
    /// them, within the operator's limits.
    pub(super) async fn adopted(info: &ThreadInfo, limits: &Limits) -> Self {
        let ceiling = limits.sandbox_ceiling;
        let working_directory = match info.cwd.clone() {
            Some(cwd) => limits.find_directory(cwd).await.ok().map(PathBuf::from),
            None => None,
        };
        let last = info.last_turn.as_ref();
        Self {
            model: last.and_then(|last| last.model.clone()).or_else(|| info.model.clone()),
            reasoning_effort: last.and_then(|last| last.reasoning_effort.clone()),
            sandbox: last.and_then(|last| last.sandbox).map(|sandbox| sandbox.min(ceiling)),
            // Depends on whether the client can show approvals, which may differ here.
            approval_policy: None,
            working_directory,
            ..Self::default()
        }
    }

    /// Fills in what is not set here from `other`.
    #[must_use]
    pub fn or(self, other: &Self) -> Self {
        Self {
            model: self.model.or_else(|| other.model.clone()),
            reasoning_effort: self.reasoning_effort.or_else(|| other.reasoning_effort.clone()),
            sandbox: self.sandbox.or(other.sandbox),
            approval_policy: self.approval_policy.or(other.approval_policy),
            working_directory: self.working_directory.or_else(|| other.working_directory.clone()),
            writable_roots: self.writable_roots.or_else(|| other.writable_roots.clone()),
            network: self.network.or(other.network),
            approvals_reviewer: self.approvals_reviewer.or(other.approvals_reviewer),
            worktree: self.worktree.or(other.worktree),
        }
    }
}
