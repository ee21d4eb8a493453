//! Recording a turn: before it starts, when Codex has acknowledged it, while it runs, and at its end. Every write is
//! made under the turn's lease.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::time::Instant;

use super::{live::TurnLog, naming::title, queued::entry};
use crate::{
    codex::{EffectiveSettings, FailureKind, Thread, TurnFailure, TurnId},
    session::{
        Request, SessionRecord, SessionStatus, Settings, TurnRecord,
        store::{Lease, Store, StoreError, Turns},
    },
};

/// How long an ephemeral session is kept for a call that was detached from its turn.
const EPHEMERAL: Duration = Duration::from_mins(10);

/// Writes one turn of one session.
#[derive(Debug)]
pub(super) struct Recorder {
    store: Arc<dyn Store>,
    lease: Lease,
    /// Has what happens in the turn: each write takes what is new of it.
    log: Arc<TurnLog>,
    ttl: Duration,
    /// The settings of the call. They are pinned only once Codex acknowledges the turn, so a failed call changes none.
    chosen: Settings,
    /// Whether the call resets the session, which happens once Codex acknowledges the turn.
    resets: bool,
    /// Whether the next successful write removes the earlier turns.
    restarts: bool,
    /// The session as the next write stores it.
    pub(super) record: SessionRecord,
    /// The turn as the next write stores it.
    pub(super) entry: TurnRecord,
    /// The greatest number of the session's turns before. One that Codex began by itself can be greater than that of one which
    /// waited meanwhile.
    pub(super) last_before: u32,
    /// When the recorder was made, from which the turn's duration counts.
    pub(super) started: Instant,
    /// The number of the last change that is written.
    written: u64,
    /// Whether a write may have been made or not: nobody has said.
    uncertain: bool,
}

/// What is known once Codex has acknowledged the turn.
#[derive(Debug)]
pub(super) struct Acknowledged<'a> {
    pub(super) thread: &'a Thread,
    pub(super) turn: &'a TurnId,
    pub(super) effective: &'a EffectiveSettings,
    pub(super) machine: &'a str,
}

impl Recorder {
    /// A recorder for the turn of this number. Writes nothing yet.
    pub(super) fn new(
        store: Arc<dyn Store>,
        lease: Lease,
        record: SessionRecord,
        (request, number): (&Request, u32),
        log: Arc<TurnLog>,
        ttl: Duration,
    ) -> Self {
        let entry = entry(request, &record.name, number, SessionStatus::Running);
        Self {
            store,
            lease,
            log,
            ttl: if request.ephemeral { ttl.min(EPHEMERAL) } else { ttl },
            chosen: request.settings.clone(),
            resets: request.reset,
            restarts: false,
            last_before: record.last_turn,
            record,
            entry,
            started: Instant::now(),
            written: 0,
            uncertain: false,
        }
    }

    /// Records that the turn is about to start. Settings, thread and earlier turns stay as they are.
    pub(super) async fn begin(&mut self) -> Result<(), StoreError> {
        self.record.last_turn = self.entry.number;
        self.record.status = SessionStatus::Running;
        self.entry.status = SessionStatus::Running;
        self.touch();
        self.put().await
    }

    /// Records the acknowledgement: the session gets the thread, the call's settings and, if asked for, its reset. Without
    /// the turn's id a fork would not know where to cut the thread, and another machine not that it can be resumed.
    pub(super) async fn acknowledge(&mut self, news: &Acknowledged<'_>) -> Result<(), StoreError> {
        let Acknowledged { thread, turn, effective, machine } = *news;
        let details = &mut self.entry.details;
        details.turn_id = Some(turn.clone());
        details.thread_id = thread.id().cloned();
        details.engine = Some(thread.engine().to_owned());
        details.codex_version = Some(thread.codex_version().to_string());
        details.effective = Some(effective.clone());
        if self.resets {
            self.restart();
        }
        let record = &mut self.record;
        if record.thread_id.as_ref() != thread.id() {
            record.details.thread_name = None;
        }
        if record.automatic && record.details.title.is_none() {
            record.details.title = title(&self.entry.prompt);
        }
        record.thread_id = thread.id().cloned();
        record.codex_version = Some(thread.codex_version().to_string());
        record.effective = Some(effective.clone());
        record.settings = self.chosen.clone().or(&record.settings);
        // A session keeps working where it began, wherever the next server is started.
        let directory = &mut record.settings.working_directory;
        directory.get_or_insert_with(|| effective.working_directory.clone());
        record.details.machine = Some(machine.to_owned());
        self.put().await
    }

    /// Writes what has happened since the last write, if anything has.
    pub(super) async fn checkpoint(&mut self) -> Result<(), StoreError> {
        if self.log.to_record() == self.written { Ok(()) } else { self.put().await }
    }

    /// The turn as it is by now.
    pub(super) fn so_far(&self) -> TurnRecord {
        let mut turn = self.entry.clone();
        self.log.record(&mut turn);
        turn
    }

    /// Records how the turn ended.
    pub(super) async fn end(&mut self, status: SessionStatus) -> Result<(), StoreError> {
        self.entry.status = status;
        self.record.status = status;
        self.record.last_turn = self.record.last_turn.max(self.last_before);
        self.touch();
        self.put().await
    }

    /// Records that the turn failed before Codex acknowledged it.
    pub(super) async fn fail(&mut self, message: String) -> Result<(), StoreError> {
        self.record.last_turn = self.entry.number;
        let failure = TurnFailure { kind: FailureKind::Other, message };
        self.entry.details.failure = Some(failure);
        self.end(SessionStatus::Failed).await
    }

    fn touch(&mut self) {
        self.record.touch(Timestamp::now(), self.ttl);
    }

    /// Resets the session, with this turn as its first. Its number stays.
    fn restart(&mut self) {
        self.record = self.record.reset();
        self.record.details.cleared = self.entry.number - 1;
        self.record.status = SessionStatus::Running;
        self.restarts = true;
    }

    /// Writes the session and the turn as they are.
    pub(super) async fn put(&mut self) -> Result<(), StoreError> {
        let through = self.log.record(&mut self.entry);
        let turn = &self.entry;
        let turns = if self.restarts { Turns::Restart(turn) } else { Turns::Put(turn) };
        // Until there is an answer: this may be dropped before.
        let was_uncertain = std::mem::replace(&mut self.uncertain, true);
        let mut written = self.store.commit(&self.lease, &self.record, turns).await;
        if was_uncertain && matches!(written, Err(StoreError::Stale { .. })) {
            // Nobody else writes under this lease, so it was made.
            let now = Timestamp::now();
            if let Some(stored) = self.store.load(&self.record.name, now).await? {
                self.record.revision = stored.revision;
                written = self.store.commit(&self.lease, &self.record, turns).await;
            }
        }
        self.uncertain = matches!(written, Err(StoreError::Unavailable { .. }));
        written?;
        self.record.revision += 1;
        self.restarts = false;
        self.written = through;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::store::{Claim, Coordination, Excerpt, ReferenceStore, SessionStore};
    use crate::session::turn::LiveTurn;

    const SPAN: Duration = Duration::from_mins(1);

    async fn turns(store: &ReferenceStore, name: &str) -> Vec<(u32, SessionStatus)> {
        let turns = store.turns(&name.parse().unwrap(), 0, 9, Excerpt::ALL).await.unwrap();
        turns.into_iter().map(|turn| (turn.number, turn.status)).collect()
    }

    async fn recorder(store: &Arc<ReferenceStore>, request: &Request) -> Recorder {
        let (name, now) = ("s".parse().unwrap(), Timestamp::now());
        let claim = store.claim(&name, None, SPAN, now).await.unwrap();
        let Claim::Ours { lease, record, turn } = claim else { panic!("{claim:?}") };
        let store = Arc::clone(store) as Arc<dyn Store>;
        let log = Arc::clone(&LiveTurn::new().log);
        Recorder::new(store, lease, *record.unwrap(), (request, turn), log, SPAN)
    }

    #[tokio::test]
    async fn a_reset_that_could_not_be_written_at_once_is_written_at_the_end() {
        let (store, now) = (Arc::new(ReferenceStore::default()), Timestamp::now());
        let record = SessionRecord::new("s".parse().unwrap(), false, now, SPAN);
        store.create(&record, None, 9, now).await.unwrap();
        for _ in 0..2 {
            let mut first = recorder(&store, &Request::ask("one")).await;
            first.begin().await.unwrap();
            first.end(SessionStatus::Completed).await.unwrap();
        }
        let mut reset = recorder(&store, &Request { reset: true, ..Request::ask("anew") }).await;
        reset.begin().await.unwrap();
        let (completed, running) = (SessionStatus::Completed, SessionStatus::Running);
        assert_eq!(turns(&store, "s").await, [(1, completed), (2, completed), (3, running)]);
        reset.restart();
        // A write that fails.
        reset.record.revision += 1;
        reset.put().await.unwrap_err();
        reset.record.revision -= 1;
        assert_eq!(turns(&store, "s").await, [(1, completed), (2, completed), (3, running)]);
        reset.end(SessionStatus::Completed).await.unwrap();
        assert_eq!(turns(&store, "s").await, [(3, completed)]);
        assert_eq!((reset.record.last_turn, reset.record.turn_count()), (3, 1));
    }
}
