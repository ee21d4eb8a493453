//! The stored record of a session's worktree. Plain data.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A git worktree that a session works in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorktreeRecord {
    /// Where it is.
    pub path: PathBuf,
    /// The branch that is checked out in it.
    pub branch: String,
    /// The commit that its changes are counted from.
    pub base: String,
    /// The top directory of the repository it belongs to, which is the user's own working tree.
    pub root: PathBuf,
    /// The state of it that was applied last, as git's id of a tree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<String>,
}

/// What a turn left in its worktree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorktreeState {
    /// Where it is.
    pub path: PathBuf,
    /// The branch that is checked out in it.
    pub branch: String,
    /// The commit that its changes are counted from.
    pub base: String,
    /// In how many files it differs from that commit.
    pub files_changed: u32,
    /// Lines that were added.
    pub insertions: u32,
    /// Lines that were removed.
    pub deletions: u32,
}
