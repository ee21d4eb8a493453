//! What can be done with a session's worktree: look at its changes, apply them, discard them.

use std::sync::Arc;

use jiff::Timestamp;

use super::folder::{self, ListedWorktree, is_only_there, state};
use crate::{
    git::Git,
    session::{
        Change, SessionError, SessionName, SessionRecord, Sessions, Verb,
        lease::LeaseGuard,
        record::{WorktreeRecord, WorktreeState},
        shared::Shared,
        store::Turns,
    },
};

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
        let acting = act_at_rest(Arc::clone(self.shared()), name.clone(), action);
        self.shared().to_its_end(acting).await
    }
}

/// Applies or discards what is in a session's worktree, under its lease.
async fn act_at_rest(
    shared: Arc<Shared>,
    name: SessionName,
    action: WorktreeAction,
) -> Result<WorktreeOutcome, SessionError> {
    let mut loan = shared.borrow(&name).await?;
    let done = act(&shared, &name, action, loan.guard()).await;
    if matches!(action, WorktreeAction::Discard { .. }) {
        // Its thread was opened for a directory that is gone.
        loan.unload().await;
    }
    loan.give_back();
    shared.changed(Change::Session(name));
    done
}

async fn act(
    shared: &Shared,
    name: &SessionName,
    action: WorktreeAction,
    guard: &LeaseGuard,
) -> Result<WorktreeOutcome, SessionError> {
    let now = Timestamp::now();
    let missing = || SessionError::Unknown { name: name.clone() };
    let mut record: SessionRecord = guard.store().load(name, now).await?.ok_or_else(missing)?;
    let mut worktree = of(&record)?;
    let git = &shared.config.git;
    record.touch(now, shared.config.ttl());
    if worktree.root.is_dir() {
        // What it reads besides may have become something else since the worktree was made.
        let limits = &shared.config.limits;
        limits.check_repository(&git.repository(&worktree.root)).await?;
    }
    match action {
        WorktreeAction::Apply => {
            let before = state(git, &worktree).await?;
            let last = worktree.applied.as_deref();
            let (files, applied) = worktree.worktree().merge(git, last).await?;
            worktree.applied = Some(applied);
            record.details.worktree = Some(worktree);
            guard.store().commit(guard.lease(), &record, Turns::Keep).await?;
            Ok(WorktreeOutcome { state: Some(before), files, ignored: Vec::new() })
        }
        WorktreeAction::Discard { force } => {
            if !force {
                check_removal(git, name, &worktree).await?;
            }
            let before = state(git, &worktree).await.ok();
            let ignored = worktree.worktree().ignored(git).await.unwrap_or_default();
            // The record first: what is left if this server is killed now, the sweep removes.
            record.details.worktree = None;
            record.details.left_worktree = true;
            record.settings.worktree = None;
            guard.store().commit(guard.lease(), &record, Turns::Keep).await?;
            shared.remove_worktree(&worktree).await?;
            Ok(WorktreeOutcome { state: before, files: Vec::new(), ignored })
        }
    }
}

/// The worktree of a session.
fn of(record: &SessionRecord) -> Result<WorktreeRecord, SessionError> {
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
