//! What is kept of a call that came to nothing, and what is said of a turn that could not be written down.

use std::sync::Arc;

use super::{actor::Actor, queued::QueuedTurn, recorder::Recorder};
use crate::session::{
    Change, Notice, Reply, SessionError, SessionRecord, SessionStatus, Stop, TurnRecord,
    store::StoreError,
};

impl Actor {
    /// Says in a turn's answer that the record does not have it.
    pub(super) fn not_recorded(&self, turn: &mut TurnRecord, error: &StoreError) {
        tracing::error!(session = %self.name, error = error as &dyn std::error::Error, "a turn is not recorded");
        if let StoreError::LeaseLost { .. } = error {
            turn.status = SessionStatus::Interrupted;
            turn.details.stopped = Some(Stop::LeaseLost);
        } else {
            turn.details.warnings.push(format!("This turn could not be fully recorded: {error}."));
        }
    }

    /// Records a call that came to nothing before its turn began. The rest of the session stays as it was.
    pub(super) async fn record_failure(
        &self,
        queued: &QueuedTurn,
        record: SessionRecord,
        error: &SessionError,
    ) {
        let Some(guard) = &self.lease else { return };
        let (store, lease) = (Arc::clone(guard.store()), guard.lease().clone());
        let (request, log) = (&queued.request, Arc::clone(&queued.live.log));
        let ttl = self.shared.config.ttl();
        let mut recorder = Recorder::new(store, lease, record, (request, self.number), log, ttl);
        if let Err(error) = recorder.fail(error.to_string()).await {
            tracing::error!(session = %self.name, error = &error as &dyn std::error::Error, "a failed call is not recorded");
        }
        let reply = Reply { session: self.name.clone(), turn: recorder.entry };
        self.shared.notify(Notice::Ended(Arc::new(reply)));
        self.shared.changed(Change::Session(self.name.clone()));
    }

    /// Removes a session that was made for a call of which nothing came.
    pub(super) async fn forget_if_new(&self, is_new: bool) {
        let Some(guard) = self.lease.as_ref().filter(|_| is_new) else { return };
        if let Err(error) = guard.store().delete(guard.lease()).await {
            tracing::warn!(session = %self.name, %error, "an empty session stays");
        }
    }
}
