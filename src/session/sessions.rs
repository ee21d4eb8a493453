//! The handle to all sessions.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Reply, Request, SessionConfig, SessionError, SessionName, SessionRecord, TurnRecord,
    actor::{self, Message, Order},
    store::{LazyStore, Listing, Page, SessionStore, StoreConfig, StoreError},
};
use crate::codex::Codex;

/// How many calls may wait in front of one session.
pub(super) const QUEUE: usize = 32;

/// How often expired sessions are swept at most.
const SWEEP: Duration = Duration::from_secs(60);

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
    tasks: TaskTracker,
    actors: TaskTracker,
}

/// A session and a part of what was said in it.
#[derive(Debug, Clone, PartialEq, Eq)]
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
            tasks,
            actors: TaskTracker::new(),
        }));
        sessions.0.tasks.spawn(sweep(Arc::clone(&sessions.0)));
        sessions
    }

    /// Runs a turn in a session and waits for its end. Without a name a new session is made.
    ///
    /// Turns of one session run one after the other in the order of the calls; those of different
    /// sessions run at the same time. Dropping the future interrupts the turn, or takes the call out of
    /// the queue; what the turn brought until then is recorded.
    ///
    /// # Errors
    /// If no turn could be started. A turn that started and failed is a reply.
    pub async fn send(
        &self,
        name: Option<SessionName>,
        request: Request,
    ) -> Result<Reply, SessionError> {
        request.check(&self.0.config)?;
        let automatic = name.is_none();
        let name = name.unwrap_or_else(SessionName::automatic);
        let (reply, answered) = oneshot::channel();
        self.post(&name, Message::Send(Box::new(Order { request, automatic, reply })))?;
        answered.await.unwrap_or(Err(SessionError::ShuttingDown))
    }

    /// One page of the sessions that have not expired, last used first.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn list(&self, page: &Page) -> Result<Listing, SessionError> {
        let now = Timestamp::now();
        Ok(self.0.store(now).await?.list(page, now).await?)
    }

    /// A session with its turns, from the one after `skip` on.
    ///
    /// # Errors
    /// [`SessionError::Unknown`], or if the store cannot be read.
    pub async fn transcript(
        &self,
        name: &SessionName,
        skip: u32,
        limit: u32,
    ) -> Result<Transcript, SessionError> {
        let now = Timestamp::now();
        let store = self.0.store(now).await?;
        let session = store.load(name, now).await?;
        let session = session.ok_or_else(|| SessionError::Unknown { name: name.clone() })?;
        let turns = store.turns(name, skip, limit).await?;
        Ok(Transcript { session, turns })
    }

    /// Deletes a session and our record of its turns. The thread stays Codex's.
    ///
    /// # Errors
    /// [`SessionError::Unknown`], [`SessionError::Busy`], or if the store cannot be written.
    pub async fn delete(&self, name: &SessionName) -> Result<(), SessionError> {
        let (reply, answered) = oneshot::channel();
        self.post(name, Message::Delete(reply))?;
        answered.await.unwrap_or(Err(SessionError::ShuttingDown))
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

    /// Gives a message to the session's actor, which is started if there is none.
    fn post(&self, name: &SessionName, message: Message) -> Result<(), SessionError> {
        if self.0.closing.is_cancelled() {
            return Err(SessionError::ShuttingDown);
        }
        // Under the lock, so that no actor leaves between being found and being told.
        let mut live = self.0.live();
        let mailbox = match live.get(name) {
            Some(mailbox) if !mailbox.is_closed() => mailbox.clone(),
            _ => {
                let (mailbox, messages) = mpsc::channel(QUEUE);
                live.insert(name.clone(), mailbox.clone());
                let actor = actor::run(name.clone(), Arc::clone(&self.0), messages);
                self.0.actors.spawn(actor);
                mailbox
            }
        };
        let posted = mailbox.try_send(message);
        posted.map_err(|_| SessionError::QueueFull { name: name.clone(), waiting: QUEUE })
    }
}

impl Shared {
    /// The store, opened if need be.
    pub(super) async fn store(&self, now: Timestamp) -> Result<&dyn SessionStore, StoreError> {
        self.store.get(now).await
    }

    /// The lock is never held across an await and nothing under it can panic.
    pub(super) fn live(&self) -> MutexGuard<'_, HashMap<SessionName, mpsc::Sender<Message>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
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
            Ok(expired) => tracing::info!(count = expired.len(), "sessions expired"),
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "cannot sweep sessions");
            }
        }
    }
}
