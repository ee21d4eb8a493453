//! What the handle and the actors of all sessions share.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicBool},
};

use jiff::Timestamp;
use tokio::sync::{broadcast, mpsc};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Notice, SessionConfig, SessionError, SessionName, SessionRecord, WorktreeRecord,
    measures::Measures,
    quota::Quota,
    store::{Change, LazyStore, Store, StoreError},
    turn::{LiveTurn, Message, ObservedTurns},
    worktree::Worktrees,
};
use crate::codex::Codex;

/// How many calls may wait for one session.
pub(super) const QUEUE: usize = 32;

/// How many changes are kept for a listener that lags behind.
const CHANGES: usize = 64;

/// What every session's actor works with.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) codex: Codex,
    pub(super) store: LazyStore,
    pub(super) config: SessionConfig,
    pub(super) quota: Quota,
    pub(super) measures: Measures,
    pub(super) worktrees: Option<Worktrees>,
    /// Cancelled when no new turn is to begin.
    pub(super) draining: CancellationToken,
    pub(super) closing: CancellationToken,
    pub(super) tasks: TaskTracker,
    pub(super) actors: TaskTracker,
    pub(super) observed_turns: ObservedTurns,
    /// Held while turns are taken over, until their actors have them.
    pub(super) adopting: tokio::sync::Mutex<()>,
    /// Whether it was looked for turns of servers that are gone.
    pub(super) has_adopted: AtomicBool,
    live: Mutex<HashMap<SessionName, Live>>,
    changes: broadcast::Sender<Change>,
    /// What the other servers are to be told.
    told: broadcast::Sender<Change>,
    notices: broadcast::Sender<Notice>,
}

/// A session in use by this server.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) mailbox: mpsc::Sender<Message>,
    /// The running turn, then the waiting ones in the order of their calls.
    turns: Vec<Arc<LiveTurn>>,
}

impl Shared {
    pub(super) fn new(
        codex: Codex,
        store: LazyStore,
        config: SessionConfig,
        tasks: TaskTracker,
    ) -> Self {
        let worktrees = config.worktrees.clone();
        Self {
            codex,
            worktrees: worktrees.map(|folder| {
                Worktrees::new(folder, store.config().to_string(), config.git.clone())
            }),
            store,
            measures: Measures::new(config.tenant.as_ref()),
            config,
            quota: Quota::default(),
            draining: CancellationToken::new(),
            closing: CancellationToken::new(),
            tasks,
            actors: TaskTracker::new(),
            observed_turns: ObservedTurns::default(),
            adopting: tokio::sync::Mutex::default(),
            has_adopted: AtomicBool::new(false),
            live: Mutex::default(),
            changes: broadcast::channel(CHANGES).0,
            told: broadcast::channel(CHANGES).0,
            notices: broadcast::channel(CHANGES).0,
        }
    }

    /// The store, opened if it is not open yet.
    pub(super) async fn store(&self, now: Timestamp) -> Result<Arc<dyn Store>, StoreError> {
        self.store.get(now).await
    }

    /// Removes a worktree, whatever is in it.
    pub(super) async fn remove_worktree(
        &self,
        worktree: &WorktreeRecord,
    ) -> Result<(), SessionError> {
        match &self.worktrees {
            Some(worktrees) => worktrees.remove(worktree).await,
            None => Ok(()),
        }
    }

    pub(super) async fn record(&self, name: &SessionName) -> Result<SessionRecord, SessionError> {
        let now = Timestamp::now();
        let record = self.store(now).await?.load(name, now).await?;
        record.ok_or_else(|| SessionError::Unknown { name: name.clone() })
    }

    /// Tells all listeners about a change made here, and the other servers.
    pub(super) fn changed(&self, change: Change) {
        // Fails if there are none.
        let _ = self.told.send(change.clone());
        self.changed_remotely(change);
    }

    /// Tells all listeners about a change that another server has made.
    pub(super) fn changed_remotely(&self, change: Change) {
        // Fails if there are no listeners.
        let _ = self.changes.send(change);
    }

    /// The changes made here, from now on.
    pub(super) fn own_changes(&self) -> broadcast::Receiver<Change> {
        self.told.subscribe()
    }

    /// Whether anybody wants to know of changes.
    pub(super) fn is_listened_to(&self) -> bool {
        self.changes.receiver_count() > 0
    }

    pub(super) fn changes(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    /// Tells whoever follows the notices.
    pub(super) fn notify(&self, notice: Notice) {
        // Fails if nobody does.
        let _ = self.notices.send(notice);
    }

    pub(super) fn notices(&self) -> broadcast::Receiver<Notice> {
        self.notices.subscribe()
    }

    /// Does something to its end, also if its caller is gone.
    pub(super) async fn to_its_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, SessionError>> + Send + 'static,
    ) -> Result<T, SessionError> {
        self.tasks.spawn(work).await.unwrap_or(Err(SessionError::ShuttingDown))
    }

    /// The lock is never held across an await and nothing under it can panic.
    pub(super) fn live(&self) -> MutexGuard<'_, HashMap<SessionName, Live>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The turns of a session that run or wait here, the running one first, and the mailbox of its actor.
    pub(super) fn turns(
        &self,
        name: &SessionName,
    ) -> Option<(Vec<Arc<LiveTurn>>, mpsc::Sender<Message>)> {
        let mut live = self.live();
        let session = live.get_mut(name)?;
        session.forget_ended();
        Some((session.turns.clone(), session.mailbox.clone()))
    }

    /// Looks at the turns of a session that run or wait here, while nobody else can.
    pub(super) fn with_turns<T>(
        &self,
        name: &SessionName,
        inspect: impl FnOnce(&[Arc<LiveTurn>], mpsc::Sender<Message>) -> Option<T>,
    ) -> Option<T> {
        let mut live = self.live();
        let session = live.get_mut(name)?;
        session.forget_ended();
        inspect(&session.turns, session.mailbox.clone())
    }

    /// Forgets the turns of a session that are over: what is asked of them is in the record.
    pub(super) fn forget_ended(&self, name: &SessionName) {
        if let Some(session) = self.live().get_mut(name) {
            session.forget_ended();
        }
    }

    /// How many turns run or wait here.
    pub(super) fn running(&self) -> usize {
        let live = self.live();
        let turns = live.values().flat_map(|session| &session.turns);
        turns.filter(|turn| !turn.log.is_ended()).count()
    }

    /// The turns that run or wait here, by session.
    pub(super) fn all_turns(&self) -> Vec<(SessionName, Option<u32>)> {
        let live = self.live();
        let turns = live.iter().flat_map(|(name, session)| {
            let turns = session.turns.iter().filter(|turn| !turn.log.is_ended());
            turns.map(|turn| (name.clone(), turn.number()))
        });
        let mut turns: Vec<_> = turns.collect();
        turns.sort_by(|one, other| one.0.as_str().cmp(other.0.as_str()));
        turns
    }

    /// How many sessions have a turn under way, and how many calls wait behind one.
    pub(super) fn load(&self) -> (usize, usize) {
        let live = self.live();
        let counts: Vec<usize> =
            live.values().map(Live::turns).filter(|count| *count > 0).collect();
        let waiting = counts.iter().sum::<usize>() - counts.len();
        (counts.len(), waiting)
    }

    /// Whether another call to this session would wait.
    pub(super) fn queues(&self, name: &SessionName) -> bool {
        self.live().get(name).is_some_and(|live| live.turns() > 0)
    }

    /// Posts a message to the session's actor. Returns `false` if there is no actor, or its mailbox is full.
    pub(super) fn tell(&self, name: &SessionName, message: Message) -> bool {
        let mailbox = self.live().get(name).map(|live| live.mailbox.clone());
        mailbox.is_some_and(|mailbox| mailbox.try_send(message).is_ok())
    }
}

impl Live {
    pub(super) fn new(mailbox: mpsc::Sender<Message>) -> Self {
        Self { mailbox, turns: Vec::new() }
    }

    /// How many turns run or wait.
    fn turns(&self) -> usize {
        self.turns.iter().filter(|turn| !turn.log.is_ended()).count()
    }

    pub(super) fn add(&mut self, turn: Arc<LiveTurn>) {
        self.forget_ended();
        self.turns.push(turn);
    }

    fn forget_ended(&mut self) {
        self.turns.retain(|turn| !turn.log.is_ended());
        // In the order in which they run; one without a number has not been written down yet.
        self.turns.sort_by_key(|turn| turn.number().unwrap_or(u32::MAX));
    }
}
