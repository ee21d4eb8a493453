//! What an actor does with its session's worktree, under the session's lease.

use jiff::Timestamp;

use super::actor::Actor;
use crate::session::{
    Change, SessionError, SessionRecord, WorktreeAction, WorktreeOutcome,
    lease::LeaseGuard,
    store::Turns,
    worktree::{check_removal, of, state},
};

impl Actor {
    /// Applies or discards what is in the session's worktree.
    pub(super) async fn with_worktree(
        &mut self,
        action: WorktreeAction,
    ) -> Result<WorktreeOutcome, SessionError> {
        let guard = self.guard_at_rest().await?;
        let done = self.act(action, &guard).await;
        if matches!(action, WorktreeAction::Discard { .. }) {
            // Its thread was opened for a directory that is gone.
            self.unload().await;
        }
        if self.loaded.is_some() {
            // The actor rests with thread and lease, as after a turn.
            self.lease = Some(guard);
        } else {
            guard.release().await;
        }
        self.shared.changed(Change::Session(self.name.clone()));
        done
    }

    async fn act(
        &self,
        action: WorktreeAction,
        guard: &LeaseGuard,
    ) -> Result<WorktreeOutcome, SessionError> {
        let now = Timestamp::now();
        let missing = || SessionError::Unknown { name: self.name.clone() };
        let mut record: SessionRecord =
            guard.store().load(&self.name, now).await?.ok_or_else(missing)?;
        let mut worktree = of(&record)?;
        let git = &self.shared.config.git;
        record.touch(now, self.shared.config.ttl());
        if worktree.root.is_dir() {
            // What it reads besides may have become something else since the worktree was made.
            let limits = &self.shared.config.limits;
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
                    check_removal(git, &self.name, &worktree).await?;
                }
                let before = state(git, &worktree).await.ok();
                let ignored = worktree.worktree().ignored(git).await.unwrap_or_default();
                // The record first: what is left if this server is killed now, the sweep removes.
                record.details.worktree = None;
                record.details.left_worktree = true;
                record.settings.worktree = None;
                guard.store().commit(guard.lease(), &record, Turns::Keep).await?;
                self.shared.remove_worktree(&worktree).await?;
                Ok(WorktreeOutcome { state: before, files: Vec::new(), ignored })
            }
        }
    }
}
