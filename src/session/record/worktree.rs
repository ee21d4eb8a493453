//! The stored record of a session's worktree. Plain data.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::git::Worktree;

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
    /// The git folder of the worktree. Codex can write there, so nothing in it is believed.
    pub git_dir: PathBuf,
    /// The git folder of the repository.
    pub common_dir: PathBuf,
    /// The state of it that was applied last, as git's id of a tree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<String>,
}

impl WorktreeRecord {
    /// A worktree of which nothing was applied yet.
    pub fn new(worktree: Worktree) -> Self {
        let Worktree { path, branch, base, root, git_dir, common_dir } = worktree;
        Self { path, branch, base, root, git_dir, common_dir, applied: None }
    }

    /// One that is about to be made, of the repository that `directory` is in.
    pub fn planned(path: &Path, directory: &Path) -> Self {
        let none = PathBuf::new;
        Self {
            path: path.to_owned(),
            branch: String::new(),
            base: String::new(),
            root: directory.to_owned(),
            git_dir: none(),
            common_dir: none(),
            applied: None,
        }
    }

    /// Whether it was made completely.
    pub fn is_made(&self) -> bool {
        !self.branch.is_empty()
    }

    /// The worktree for git.
    pub fn worktree(&self) -> Worktree {
        let Self { path, branch, base, root, git_dir, common_dir, .. } = self.clone();
        Worktree { path, branch, base, root, git_dir, common_dir }
    }
}

/// What a turn left in its worktree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorktreeState {
    /// Where it is
    #[schemars(with = "String")]
    pub path: PathBuf,
    /// Its branch
    pub branch: String,
    /// The commit its changes are counted from
    pub base: String,
    // In how many files it differs from that commit.
    pub files_changed: u32,
    // Lines that were added.
    pub insertions: u32,
    // Lines that were removed.
    pub deletions: u32,
}
