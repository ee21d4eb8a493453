//! Writing a turn down: before it starts, when Codex has acknowledged it, while it runs, and at its end. Every write is
//! made under the lease the turn runs under.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::time::Instant;

use crate::{
    codex::{EffectiveSettings, FailureKind, Partial, Thread, TurnFailure, TurnId},
    session::{
        Request, SessionRecord, SessionStatus, Settings, TurnDetails, TurnRecord,
        store::{Lease, Store, StoreError, Turns},
    },
};

/// How long an ephemeral turn stays for a caller that was detached from it.
const EPHEMERAL: Duration = Duration::from_mins(10);

/// Writes one turn of one session.
#[derive(Debug)]
pub(super) struct Recorder {
    store: Arc<dyn Store>,
    lease: Lease,
    ttl: Duration,
    /// What the call chose. It is pinned once the turn was acknowledged, so a call that fails costs nothing.
    chosen: Settings,
    /// Whether the call forgets what was said before, which happens once Codex has acknowledged its turn.
    resets: bool,
    /// Whether the next write that succeeds removes the turns before.
    restarts: bool,
    /// The session as it is stored, with what of it the next write changes.
    pub(super) record: SessionRecord,
    /// The turn as it is stored, with what of it the next write changes.
    pub(super) entry: TurnRecord,
    /// When the turn began for its caller.
    pub(super) started: Instant,
    /// How much of the answer is written down.
    written_bytes: usize,
}

/// What Codex has acknowledged.
#[derive(Debug)]
pub(super) struct Acknowledged<'a> {
    pub(super) thread: &'a Thread,
    pub(super) turn: &'a TurnId,
    pub(super) effective: &'a EffectiveSettings,
}

impl Recorder {
    /// A recorder for the next turn of a session; nothing is written yet.
    pub(super) fn new(
        store: Arc<dyn Store>,
        lease: Lease,
        record: SessionRecord,
        request: &Request,
        ttl: Duration,
    ) -> Self {
        let entry = TurnRecord {
            number: record.turn_count + 1,
            prompt: request.prompt.clone(),
            response: String::new(),
            timestamp: Timestamp::now(),
            status: SessionStatus::Running,
            details: TurnDetails { ephemeral: request.ephemeral, ..TurnDetails::default() },
        };
        Self {
            store,
            lease,
            // What is not to be kept stays just long enough for a caller that was detached.
            ttl: if request.ephemeral { ttl.min(EPHEMERAL) } else { ttl },
            chosen: request.settings.clone(),
            resets: request.reset,
            restarts: false,
            record,
            entry,
            started: Instant::now(),
            written_bytes: 0,
        }
    }

    /// Records that the turn is about to start. Nothing else of the session changes, whatever its call wants.
    pub(super) async fn begin(&mut self) -> Result<(), StoreError> {
        self.record.turn_count = self.entry.number;
        self.record.status = SessionStatus::Running;
        self.entry.status = SessionStatus::Running;
        self.touch();
        self.put().await
    }

    /// Takes in what Codex has acknowledged: from now on there is something to resume, what the call chose is the
    /// session's, and a reset has happened. Written at once if any of that is new.
    pub(super) async fn acknowledge(&mut self, news: &Acknowledged<'_>) -> Result<(), StoreError> {
        let Acknowledged { thread, turn, effective } = *news;
        let details = &mut self.entry.details;
        details.turn_id = Some(turn.clone());
        details.thread_id = thread.id().cloned();
        details.engine = Some(thread.engine().to_owned());
        details.codex_version = Some(thread.codex_version().to_string());
        details.effective = Some(effective.clone());
        let before = (self.record.thread_id.clone(), self.record.settings.clone());
        if self.resets {
            self.restart();
        }
        let record = &mut self.record;
        record.thread_id = thread.id().cloned();
        record.codex_version = Some(thread.codex_version().to_string());
        record.effective = Some(effective.clone());
        record.settings = self.chosen.clone().or(&record.settings);
        // A session keeps working where it began, wherever the next server is started.
        let directory = &mut record.settings.working_directory;
        directory.get_or_insert_with(|| effective.working_directory.clone());
        let is_news = before != (self.record.thread_id.clone(), self.record.settings.clone());
        if self.restarts || is_news { self.put().await } else { Ok(()) }
    }

    /// Writes down what there is so far, if it is notably more than before.
    pub(super) async fn checkpoint(&mut self, partial: Partial) -> Result<(), StoreError> {
        let bytes = partial.response.len();
        if bytes <= self.written_bytes + self.written_bytes / 10 {
            return Ok(());
        }
        self.written_bytes = bytes;
        let turn = self.so_far(partial);
        self.write(Some(&turn)).await
    }

    /// The turn with what there is of it so far.
    pub(super) fn so_far(&self, partial: Partial) -> TurnRecord {
        let mut turn = self.entry.clone();
        turn.response = partial.response;
        turn.details.usage = partial.usage;
        turn.details.commands = partial.commands;
        turn.details.files_changed = partial.files;
        turn
    }

    /// Records how the turn ended.
    pub(super) async fn end(&mut self, status: SessionStatus) -> Result<(), StoreError> {
        self.entry.status = status;
        self.record.status = status;
        self.touch();
        self.put().await
    }

    /// Records that the turn failed before Codex acknowledged it.
    pub(super) async fn fail(&mut self, message: String) -> Result<(), StoreError> {
        self.record.turn_count = self.entry.number;
        let failure = TurnFailure { kind: FailureKind::Other, message };
        self.entry.details.failure = Some(failure);
        self.end(SessionStatus::Failed).await
    }

    fn touch(&mut self) {
        self.record.touch(Timestamp::now(), self.ttl);
    }

    /// Begins the session anew, with this turn as its first.
    fn restart(&mut self) {
        self.record = self.record.reset();
        self.record.turn_count = 1;
        self.record.status = SessionStatus::Running;
        self.entry.number = 1;
        self.restarts = true;
    }

    async fn put(&mut self) -> Result<(), StoreError> {
        self.write(None).await
    }

    /// Writes the session and this state of the turn, or the recorder's own.
    async fn write(&mut self, turn: Option<&TurnRecord>) -> Result<(), StoreError> {
        let turn = turn.unwrap_or(&self.entry);
        let turns = if self.restarts { Turns::Restart(turn) } else { Turns::Put(turn) };
        self.store.commit(&self.lease, &self.record, turns).await?;
        self.record.revision += 1;
        self.restarts = false;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::store::{Claim, Coordination, Excerpt, MemoryStore, SessionStore};

    const SPAN: Duration = Duration::from_mins(1);

    async fn turns(store: &MemoryStore, name: &str) -> Vec<(u32, SessionStatus)> {
        let turns = store.turns(&name.parse().unwrap(), 0, 9, Excerpt::ALL).await.unwrap();
        turns.into_iter().map(|turn| (turn.number, turn.status)).collect()
    }

    async fn recorder(store: &Arc<MemoryStore>, request: &Request) -> Recorder {
        let (name, now) = ("s".parse().unwrap(), Timestamp::now());
        let claim = store.claim(&name, None, SPAN, now).await.unwrap();
        let Claim::Ours { lease, record } = claim else { panic!("{claim:?}") };
        let store = Arc::clone(store) as Arc<dyn Store>;
        Recorder::new(store, lease, *record.unwrap(), request, SPAN)
    }

    #[tokio::test]
    async fn a_reset_that_could_not_be_written_at_once_is_written_at_the_end() {
        let (store, now) = (Arc::new(MemoryStore::default()), Timestamp::now());
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
        assert_eq!(turns(&store, "s").await, [(1, completed)]);
        assert_eq!(reset.record.turn_count, 1);
    }
}
