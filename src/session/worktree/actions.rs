//! What can be done with a session's worktree: look at its changes, apply them, discard them.

use super::folder::{self, ListedWorktree, is_only_there};
use crate::git::Git;
use crate::session::{
    SessionError, SessionName, SessionRecord, Sessions, Verb,
    record::{WorktreeRecord, WorktreeState},
    turn::Message,
};
use tokio::sync::oneshot;

/// What to do with a session's worktree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorktreeAction {
    /// Bring its changes into the user's working tree: all of them, or none.
    Apply,
    /// Remove it with its branch. Unless forced, not if something in it is nowhere else.
    Discard {
        /// Whatever is in it.
        force: bool,
    },
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorktreeOutcome {
    pub state: Option<WorktreeState>,
    /// The files of the user's working tree that have changed.
    pub files: Vec<String>,
    /// Ignored files that were removed with the worktree.
    pub ignored: Vec<String>,
}

impl Sessions {
    /// The changes in a session's worktree, at most `limit` bytes of them, and whether that is all.
    ///
    /// # Errors
    /// [`SessionError::Unknown`], [`SessionError::NoWorktree`], [`SessionError::WorktreeGone`], or if git fails.
    pub async fn worktree_diff(
        &self,
        name: &SessionName,
        limit: u64,
    ) -> Result<(WorktreeState, String, bool), SessionError> {
        let worktree = of(&self.record(name).await?)?;
        let git = &self.config().git;
        let state = folder::state(git, &worktree).await?;
        let (diff, is_all) = worktree.worktree().difference(git, limit).await?;
        Ok((state, diff, is_all))
    }

    /// The worktrees that this server's sessions have, or have left.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn worktrees(&self) -> Result<Vec<ListedWorktree>, SessionError> {
        let shared = self.shared();
        let store = shared.store(jiff::Timestamp::now()).await?;
        match &shared.worktrees {
            Some(worktrees) => Ok(worktrees.list(&*store).await),
            None => Ok(Vec::new()),
        }
    }

    /// Applies or discards what is in a session's worktree, while no turn runs.
    ///
    /// # Errors
    /// [`SessionError::Unknown`], [`SessionError::NoWorktree`], [`SessionError::Busy`], [`SessionError::Unapplied`],
    /// [`SessionError::Repository`] with the conflicts, or if git or the store fails.
    pub async fn worktree(
        &self,
        name: &SessionName,
        action: WorktreeAction,
    ) -> Result<WorktreeOutcome, SessionError> {
        self.caller().check(Verb::Change)?;
        of(&self.record(name).await?)?;
        let answered = self.shared().post(name, |_| {
            let (reply, answered) = oneshot::channel();
            (Message::Worktree(action, reply), answered)
        })?;
        answered.await.unwrap_or(Err(SessionError::ShuttingDown))
    }
}

/// The worktree of a session.
pub(in crate::session) fn of(record: &SessionRecord) -> Result<WorktreeRecord, SessionError> {
    let missing = || SessionError::NoWorktree { name: record.name.clone() };
    record.details.worktree.clone().ok_or_else(missing)
}

/// Refuses to remove a worktree if something in it is nowhere else.
pub(in crate::session) async fn check_removal(
    git: &Git,
    name: &SessionName,
    worktree: &WorktreeRecord,
) -> Result<(), SessionError> {
    if !is_only_there(git, worktree).await? {
        return Ok(());
    }
    let files = folder::state(git, worktree).await.map_or(0, |state| state.files_changed);
    let (name, path) = (name.clone(), worktree.path.clone());
    Err(SessionError::Unapplied { name, path, files })
}
