//! What is done with a session while no turn of it runs: it is deleted or renamed, under its lease. Each is done to its end, also if
//! its caller is gone.

use std::sync::Arc;

use jiff::Timestamp;

use super::{
    Change, SessionError, SessionName, SessionRecord, Sessions, Verb,
    lease::LeaseGuard,
    shared::Shared,
    store::{Renamed, StoreError},
    worktree::check_removal,
};
use crate::codex::CodexError;

impl Sessions {
    /// Renames a session that is at rest, and its thread in Codex. Returns the session, and why its thread could not be
    /// renamed: the end of its next turn tries again.
    ///
    /// # Errors
    /// [`SessionError::Unknown`], [`SessionError::Taken`], [`SessionError::Busy`] if a turn runs or waits, or if the
    /// store cannot be written.
    pub async fn rename(
        &self,
        name: &SessionName,
        new: SessionName,
    ) -> Result<(SessionRecord, Option<String>), SessionError> {
        self.caller().check(Verb::Change)?;
        let record = self.record(name).await?;
        if *name == new {
            return Ok((record, None));
        }
        let shared = Arc::clone(self.shared());
        self.shared().to_its_end(rename(shared, name.clone(), new)).await
    }

    /// Deletes a session, our record of its turns, and its worktree. The thread stays Codex's.
    ///
    /// # Errors
    /// [`SessionError::Unknown`], [`SessionError::Busy`], [`SessionError::Unapplied`] unless it is forced, or if the
    /// store cannot be written.
    pub async fn delete(&self, name: &SessionName, force: bool) -> Result<(), SessionError> {
        self.caller().check(Verb::Change)?;
        let (shared, name) = (Arc::clone(self.shared()), name.clone());
        let deleting = async move {
            let guard = shared.borrow(&name).await?.keep().await;
            delete(&shared, &name, guard, force).await
        };
        self.shared().to_its_end(deleting).await
    }
}

/// Deletes a session under its lease, and its worktree. Unless forced, not if something in that is nowhere else.
pub(super) async fn delete(
    shared: &Shared,
    name: &SessionName,
    guard: LeaseGuard,
    force: bool,
) -> Result<(), SessionError> {
    // A record that cannot be read can still be deleted.
    let record = guard.store().load(name, Timestamp::now()).await.ok().flatten();
    let worktree = record.and_then(|record| record.details.worktree);
    if let Some(worktree) = worktree.as_ref().filter(|_| !force)
        && let Err(error) = check_removal(&shared.config.git, name, worktree).await
    {
        guard.release().await;
        return Err(error);
    }
    match guard.store().delete(guard.lease()).await {
        Ok(()) => {}
        // Another server has just taken it over; nothing was removed.
        Err(StoreError::LeaseLost { name }) => return Err(SessionError::Busy { name }),
        Err(error) => return Err(error.into()),
    }
    guard.release().await;
    if let Some(worktree) = worktree {
        shared.remove_worktree(&worktree).await?;
    }
    tracing::info!(session = %name, "session deleted");
    shared.changed(Change::List);
    Ok(())
}

/// Renames a session and then its thread. Returns the session, and why its thread could not be renamed.
async fn rename(
    shared: Arc<Shared>,
    name: SessionName,
    new: SessionName,
) -> Result<(SessionRecord, Option<String>), SessionError> {
    // The thread is released before the session can be claimed under its new name, whose actor opens it again.
    let guard = shared.borrow(&name).await?.keep().await;
    let (store, now) = (Arc::clone(guard.store()), Timestamp::now());
    let missing = || SessionError::Unknown { name: name.clone() };
    let mut record = store.load(&name, now).await?.ok_or_else(missing)?;
    record.name = new;
    record.automatic = false;
    let renamed = store.rename(guard.lease(), &record, now).await;
    // If that is done, the lease has ended with the old name.
    guard.release().await;
    match renamed? {
        Renamed::Done => {}
        Renamed::Taken => return Err(SessionError::Taken { name: record.name }),
        Renamed::Wanted => return Err(SessionError::Busy { name }),
    }
    record.revision += 1;
    let unnamed = rename_thread(&shared, &record).await;
    tracing::info!(session = %name, new = %record.name, "session renamed");
    shared.changed(Change::List);
    Ok((record, unnamed.err().map(|error| error.to_string())))
}

async fn rename_thread(shared: &Shared, record: &SessionRecord) -> Result<(), CodexError> {
    let Some(name) = record.name_for_thread() else { return Ok(()) };
    match &record.thread_id {
        Some(thread) => shared.codex.name_thread(thread, name).await,
        None => Ok(()),
    }
}
