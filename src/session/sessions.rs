//! The handle to all sessions.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use tokio::sync::{
    broadcast,
    mpsc::{self, error::TrySendError},
    oneshot,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Call, Reply, Request, SessionConfig, SessionError, SessionName, SessionRecord, SessionStatus,
    TurnRecord,
    actor::{self, Message, Order},
    call,
    model::{ModelChoice, ModelSource},
    store::{
        ErrandOutcome, Excerpt, LazyStore, Listing, Page, SessionStore, StoreConfig, StoreError,
    },
};
use crate::codex::{Answer, Codex, QuestionId, ThreadFilter, ThreadInfo};

/// How many calls may wait in front of one session.
pub(super) const QUEUE: usize = 32;

/// How many changes may wait for whoever is told.
const CHANGES: usize = 64;

/// How often expired sessions are swept at most.
const SWEEP: Duration = Duration::from_mins(1);

/// A handle to all sessions. Clones share them.
#[derive(Debug, Clone)]
pub struct Sessions(Arc<Shared>);

/// What every session's actor works with.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) codex: Codex,
    pub(super) store: LazyStore,
    pub(super) config: SessionConfig,
    pub(super) closing: CancellationToken,
    pub(super) live: Mutex<HashMap<SessionName, mpsc::Sender<Message>>>,
    changes: broadcast::Sender<Change>,
    pub(super) tasks: TaskTracker,
    actors: TaskTracker,
}

/// What has changed among the sessions this server has to do with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// One has come or gone.
    List,
    /// A turn of this one has begun or ended.
    Session(SessionName),
}

/// A session and a part of what was said in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Transcript {
    /// The session.
    pub session: SessionRecord,
    /// Turns in order.
    pub turns: Vec<TurnRecord>,
}

impl Sessions {
    /// Makes the handle. The store is opened and kept swept in the background, on `tasks`.
    pub fn new(
        codex: Codex,
        store: StoreConfig,
        config: SessionConfig,
        tasks: TaskTracker,
    ) -> Self {
        let sessions = Self(Arc::new(Shared {
            codex,
            store: LazyStore::new(store),
            config,
            closing: CancellationToken::new(),
            live: Mutex::default(),
            changes: broadcast::channel(CHANGES).0,
            tasks,
            actors: TaskTracker::new(),
        }));
        sessions.0.tasks.spawn(sweep(Arc::clone(&sessions.0)));
        sessions
    }

    /// Runs a turn in a session. Without a name a new session is made.
    ///
    /// Turns of one session run one after the other in the order of the calls; those of different
    /// sessions run at the same time. Dropping the call interrupts the turn, or takes it out of the
    /// queue; what the turn brought until then is recorded.
    ///
    /// # Errors
    /// What can be said before a session is touched. A turn that starts and fails is a reply.
    pub fn send(&self, name: Option<SessionName>, request: Request) -> Result<Call, SessionError> {
        request.check(&self.0.config)?;
        if self.0.codex.is_nested() {
            return Err(SessionError::Nested);
        }
        let automatic = name.is_none();
        let name = name.unwrap_or_else(SessionName::automatic);
        let can_ask = request.can_ask;
        self.0.post(&name, |actor| {
            let (call, caller) = call::channel(name.clone(), Some(actor), true, can_ask);
            (Message::Send(Box::new(Order::new(request, automatic, caller))), call)
        })
    }

    /// The session of a thread: the one that has it, else one of its own name, which adopts it.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn of_thread(&self, thread: &SessionName) -> Result<SessionName, SessionError> {
        let Some(id) = thread.as_thread() else { return Ok(thread.clone()) };
        let now = Timestamp::now();
        let store = self.0.store(now).await?;
        if store.load(thread, now).await?.is_some() {
            return Ok(thread.clone());
        }
        Ok(store.of_thread(&id, now).await?.unwrap_or_else(|| thread.clone()))
    }

    /// Waits for a turn of a session that some other call began: the one of this number, else the one
    /// that runs, else the last. A call that `holds` the turn interrupts it when it is dropped.
    ///
    /// # Errors
    /// [`SessionError::Unknown`], or if the store cannot be read.
    pub async fn follow(
        &self,
        name: &SessionName,
        turn: Option<u32>,
        holds: bool,
        can_ask: bool,
    ) -> Result<Call, SessionError> {
        self.record(name).await?;
        let actor = self.0.live().get(name).cloned();
        let (call, follower) = call::channel(name.clone(), actor.clone(), holds, can_ask);
        let follow = Message::Follow(follower, turn);
        let unheard = match actor {
            Some(actor) => actor.try_send(follow).err().map(TrySendError::into_inner),
            None => Some(follow),
        };
        // No actor, or one that is leaving: nothing runs here.
        if let Some(Message::Follow(follower, turn)) = unheard {
            self.0.observe(name.clone(), turn, follower);
        }
        Ok(call)
    }

    /// Interrupts the turn that runs in a session, whichever server runs it. What it came to; none if
    /// there was none.
    ///
    /// # Errors
    /// [`SessionError::Unknown`], [`SessionError::Busy`] if the server that runs it does not answer, or
    /// if the store cannot be read.
    pub async fn interrupt(&self, name: &SessionName) -> Result<Option<Reply>, SessionError> {
        self.record(name).await?;
        let (reply, answered) = oneshot::channel();
        if self.0.tell(name, Message::Interrupt(reply))
            && let Ok(Some(reply)) = answered.await
        {
            return Ok(Some(reply));
        }
        self.0.interrupt_elsewhere(name).await
    }

    /// Answers a question of Codex, with what the record shall say about it. Says whether it was still
    /// open.
    pub async fn answer(
        &self,
        name: &SessionName,
        id: QuestionId,
        answer: Answer,
        remark: Option<String>,
    ) -> bool {
        let (reply, settled) = oneshot::channel();
        self.0.tell(name, Message::Answer { id, answer, remark, reply })
            && settled.await.unwrap_or(false)
    }

    /// Says something more to the turn that runs in a session, whichever server runs it.
    ///
    /// # Errors
    /// [`SessionError::Unknown`], [`SessionError::Idle`], [`SessionError::NotSteered`], or if the store
    /// cannot be read.
    pub async fn steer(&self, name: &SessionName, prompt: String) -> Result<(), SessionError> {
        let record = self.record(name).await?;
        let (reply, answered) = oneshot::channel();
        if self.0.tell(name, Message::Steer(prompt.clone(), reply)) {
            match answered.await {
                Ok(Ok(_)) => return Ok(()),
                // It may be another server's turn that runs.
                Ok(Err(SessionError::Idle { .. })) | Err(_) => {}
                Ok(Err(error)) => return Err(error),
            }
        }
        if record.status != SessionStatus::Running {
            return Err(SessionError::Idle { name: name.clone() });
        }
        match self.0.steer_elsewhere(name, prompt).await? {
            ErrandOutcome::Done => Ok(()),
            ErrandOutcome::Refused(reason) => Err(SessionError::NotSteered { reason }),
        }
    }

    /// The last turn of a session as it is recorded; none if it has none.
    ///
    /// # Errors
    /// [`SessionError::Unknown`], or if the store cannot be read.
    pub async fn latest(&self, name: &SessionName) -> Result<Option<Reply>, SessionError> {
        let record = self.record(name).await?;
        self.0.recorded(name, record.turn_count).await
    }

    /// A session as it is recorded.
    ///
    /// # Errors
    /// [`SessionError::Unknown`], or if the store cannot be read.
    pub async fn record(&self, name: &SessionName) -> Result<SessionRecord, SessionError> {
        self.0.record(name).await
    }

    /// One page of the sessions that have not expired, last used first.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn list(&self, page: &Page) -> Result<Listing, SessionError> {
        let now = Timestamp::now();
        Ok(self.0.store(now).await?.list(page, now).await?)
    }

    /// Codex's own threads that are no sessions here, and where the next page begins.
    ///
    /// # Errors
    /// If Codex or the store cannot say.
    pub async fn threads(
        &self,
        filter: ThreadFilter<'_>,
    ) -> Result<(Vec<ThreadInfo>, Option<String>), SessionError> {
        let (found, next) = self.0.codex.threads(filter).await?;
        let now = Timestamp::now();
        let store = self.0.store(now).await?;
        let mut threads = Vec::new();
        for thread in found {
            if store.of_thread(&thread.id, now).await?.is_none() {
                threads.push(thread);
            }
        }
        Ok((threads, next))
    }

    /// A session with its turns, from the one after `skip` on, each as much of it as is asked for.
    ///
    /// # Errors
    /// [`SessionError::Unknown`], or if the store cannot be read.
    pub async fn transcript(
        &self,
        name: &SessionName,
        skip: u32,
        limit: u32,
        excerpt: Excerpt,
    ) -> Result<Transcript, SessionError> {
        let session = self.record(name).await?;
        let store = self.0.store(Timestamp::now()).await?;
        let turns = store.turns(name, skip, limit, excerpt).await?;
        Ok(Transcript { session, turns })
    }

    /// Deletes a session and our record of its turns. The thread stays Codex's.
    ///
    /// # Errors
    /// [`SessionError::Unknown`], [`SessionError::Busy`], or if the store cannot be written.
    pub async fn delete(&self, name: &SessionName) -> Result<(), SessionError> {
        let answered = self.0.post(name, |_| {
            let (reply, answered) = oneshot::channel();
            (Message::Delete(reply), answered)
        })?;
        answered.await.unwrap_or(Err(SessionError::ShuttingDown))
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.0
    }

    /// What changes from now on.
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.0.changes.subscribe()
    }

    /// The model of a turn for which neither its call nor its session names one, and who chose it; none
    /// if Codex chooses.
    ///
    /// # Errors
    /// If Codex cannot say.
    pub async fn default_model(&self) -> Result<(Option<String>, ModelSource), SessionError> {
        let SessionConfig { defaults, directory, .. } = &self.0.config;
        let named = ModelChoice::named(None, None, defaults.model.as_deref());
        let choice = if let Some(choice) = named {
            choice
        } else {
            let own = self.0.codex.defaults(directory).await?;
            ModelChoice::unnamed(&self.0.codex, &own).await?
        };
        Ok((choice.model, choice.source))
    }

    /// Where sessions are kept, in words.
    pub fn store_place(&self) -> String {
        self.0.store.config().to_string()
    }

    /// Codex, for what concerns no session.
    pub fn codex(&self) -> &Codex {
        &self.0.codex
    }

    /// The limits and defaults in force.
    pub fn config(&self) -> &SessionConfig {
        &self.0.config
    }

    /// Interrupts every turn, records what it brought, and ends Codex. Whoever waits is answered.
    pub async fn shutdown(&self) {
        self.0.closing.cancel();
        self.0.actors.close();
        if tokio::time::timeout(actor::FAREWELL, self.0.actors.wait()).await.is_err() {
            tracing::warn!("a session did not end in time");
        }
        self.0.codex.shutdown().await;
    }
}

impl Shared {
    /// The store, opened if need be.
    pub(super) async fn store(&self, now: Timestamp) -> Result<&dyn SessionStore, StoreError> {
        self.store.get(now).await
    }

    pub(super) async fn record(&self, name: &SessionName) -> Result<SessionRecord, SessionError> {
        let now = Timestamp::now();
        let record = self.store(now).await?.load(name, now).await?;
        record.ok_or_else(|| SessionError::Unknown { name: name.clone() })
    }

    /// Tells whoever wants to know.
    pub(super) fn changed(&self, change: Change) {
        // Nobody may want to.
        let _ = self.changes.send(change);
    }

    /// The lock is never held across an await and nothing under it can panic.
    pub(super) fn live(&self) -> MutexGuard<'_, HashMap<SessionName, mpsc::Sender<Message>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a message to the session's actor if there is one. Says whether there is.
    fn tell(&self, name: &SessionName, message: Message) -> bool {
        let actor = self.live().get(name).cloned();
        actor.is_some_and(|actor| actor.try_send(message).is_ok())
    }

    /// Gives a message to the session's actor, which is started if there is none.
    fn post<T>(
        self: &Arc<Self>,
        name: &SessionName,
        message: impl FnOnce(mpsc::Sender<Message>) -> (Message, T),
    ) -> Result<T, SessionError> {
        if self.closing.is_cancelled() {
            return Err(SessionError::ShuttingDown);
        }
        // Under the lock, so that no actor leaves between being found and being told.
        let mut live = self.live();
        let mailbox = match live.get(name) {
            Some(mailbox) if !mailbox.is_closed() => mailbox.clone(),
            _ => {
                let (mailbox, messages) = mpsc::channel(QUEUE);
                live.insert(name.clone(), mailbox.clone());
                let actor = actor::run(name.clone(), Arc::clone(self), messages);
                self.actors.spawn(actor);
                mailbox
            }
        };
        let (message, value) = message(mailbox.clone());
        let posted = mailbox.try_send(message);
        posted.map_err(|_| SessionError::QueueFull { name: name.clone(), waiting: QUEUE })?;
        Ok(value)
    }
}

/// Opens the store, then removes what has expired from time to time. Nothing depends on it: an expired
/// session is not seen whether it is swept or not.
async fn sweep(shared: Arc<Shared>) {
    if let Err(error) = shared.store(Timestamp::now()).await {
        tracing::error!(error = &error as &dyn std::error::Error, "sessions cannot be kept");
    }
    let period = SWEEP.min(shared.config.ttl).max(Duration::from_secs(1));
    let closing = shared.closing.clone();
    while closing.run_until_cancelled(tokio::time::sleep(period)).await.is_some() {
        let Some(store) = shared.store.opened() else { continue };
        match store.sweep(Timestamp::now()).await {
            Ok(expired) if expired.is_empty() => {}
            Ok(expired) => {
                tracing::info!(count = expired.len(), "sessions expired");
                shared.changed(Change::List);
            }
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "cannot sweep sessions");
            }
        }
    }
}
