//! The actor of one session: serve, rest, release, leave.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::{
    sync::mpsc,
    time::{Instant, interval_at},
};
use tracing::Instrument;

use super::{
    loaded::Loaded,
    message::Message,
    queued::{QueuedTurn, answer},
};
use crate::session::{
    Change, Reply, SessionError, SessionName,
    lease::LeaseGuard,
    shared::Shared,
    store::{Claim, Lease, MessageId, Store, StoreError},
};

/// How often a resting actor looks whether another server wants the session.
pub(super) const WANTED_TICK: Duration = Duration::from_millis(200);

/// How long another server at rest may take to notice that its session is wanted.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(1);

/// One session in use: the task that runs its turns, one at a time.
#[derive(Debug)]
pub(in crate::session) struct Actor {
    pub(super) name: SessionName,
    pub(super) shared: Arc<Shared>,
    pub(super) mailbox: mpsc::Receiver<Message>,
    pub(super) loaded: Option<Loaded>,
    pub(super) waiting: VecDeque<Box<QueuedTurn>>,
    /// Our right to run turns, from the claim for one to its release.
    pub(super) lease: Option<LeaseGuard>,
}

impl Actor {
    pub(in crate::session) fn new(
        name: SessionName,
        shared: Arc<Shared>,
        mailbox: mpsc::Receiver<Message>,
    ) -> Self {
        let waiting = VecDeque::new();
        Self { name, shared, mailbox, loaded: None, waiting, lease: None }
    }

    /// Lives from the first message for the session until nobody needs it: some moments after the last turn it
    /// releases the thread and the lease, so that any other process can continue.
    pub(in crate::session) async fn run(mut self) {
        loop {
            if let Some(turn) = self.waiting.pop_front() {
                self.log_positions(None);
                self.serve(*turn).await;
                continue;
            }
            if let Some(message) = self.rest().await {
                self.at_rest(message).await;
                continue;
            }
            self.release().await;
            if self.leave() {
                return;
            }
        }
    }

    async fn serve(&mut self, mut turn: QueuedTurn) {
        let outcome: Result<Option<Reply>, SessionError> = if turn.is_cancelled() {
            Ok(None)
        } else if self.shared.closing.is_cancelled() {
            Err(SessionError::ShuttingDown)
        } else {
            let fields = tracing::field::Empty;
            let span = tracing::info_span!("turn", session = %self.name, thread_id = fields, turn_id = fields);
            self.turn(&mut turn).instrument(span).await
        };
        self.leave_queue(&mut turn).await;
        match outcome {
            Ok(Some(reply)) => {
                // Deleted before the answer, so that nobody who has that still finds the session.
                let forget = reply.turn.details.ephemeral && !turn.live.is_detached();
                if forget && let Err(error) = self.delete().await {
                    tracing::warn!(session = %self.name, error = &error as &dyn std::error::Error, "cannot forget");
                }
                turn.end(Ok(reply));
            }
            Ok(None) => turn.end(Err(SessionError::Cancelled)),
            Err(error) => {
                tracing::info!(session = %self.name, error = &error as &dyn std::error::Error, "no turn");
                turn.end(Err(error));
            }
        }
    }

    /// Waits for the next message. None if it is time to release the session.
    async fn rest(&mut self) -> Option<Message> {
        let Some(guard) = &self.lease else { return self.mailbox.try_recv().ok() };
        if self.loaded.is_none() {
            return self.mailbox.try_recv().ok();
        }
        let deadline = Instant::now() + self.shared.config.release_after;
        let mut tick = interval_at(Instant::now() + WANTED_TICK / 4, WANTED_TICK);
        loop {
            tokio::select! {
                biased;
                message = self.mailbox.recv() => return message,
                () = self.shared.closing.cancelled() => return None,
                () = guard.lost().cancelled() => return None,
                () = tokio::time::sleep_until(deadline) => return None,
                _ = tick.tick() => {
                    let inbox = guard.store().inbox(guard.lease(), MessageId::default()).await;
                    if inbox.is_ok_and(|inbox| inbox.wanted || !inbox.held) {
                        return None;
                    }
                }
            }
        }
    }

    /// How long a lease lasts without being renewed. It matters only if its owner hangs or is suspended: a dead
    /// owner is noticed at once.
    pub(super) fn lease_time(&self) -> Duration {
        self.shared.config.lease
    }

    /// Keeps a lease that was just claimed.
    pub(super) fn keep(&self, lease: Lease, store: Arc<dyn Store>) -> LeaseGuard {
        LeaseGuard::keep(lease, store, self.lease_time(), &self.shared.tasks)
    }

    /// Makes the session free for everybody else.
    pub(super) async fn release(&mut self) {
        self.unload().await;
        if let Some(guard) = self.lease.take() {
            guard.release().await;
        }
    }

    /// Leaves unless a message came in this moment.
    fn leave(&mut self) -> bool {
        // Under the lock nobody can find the mailbox and write to it.
        let mut live = self.shared.live();
        if !self.mailbox.is_empty() && !self.shared.closing.is_cancelled() {
            return false;
        }
        self.mailbox.close();
        live.remove(&self.name);
        drop(live);
        // Written when the server was closing already.
        while let Ok(message) = self.mailbox.try_recv() {
            if let Message::Delete(reply) = message {
                answer(reply, Err(SessionError::ShuttingDown));
            }
        }
        true
    }

    /// Answers what makes sense only while a turn of ours runs, or only while none does.
    pub(super) async fn at_rest(&mut self, message: Message) {
        match message {
            Message::Send(turn) => self.waiting.push_back(turn),
            Message::Inspect(_, reply) | Message::Interrupt(reply) => answer(reply, None),
            Message::Steer(_, reply) => {
                answer(reply, Err(SessionError::Idle { name: self.name.clone() }));
            }
            Message::CheckInbox => {}
            Message::Delete(reply) => {
                let deleted = self.delete().await;
                answer(reply, deleted);
            }
        }
    }

    /// Deletes the session under its lease.
    pub(super) async fn delete(&mut self) -> Result<(), SessionError> {
        self.unload().await;
        let guard = match self.lease.take() {
            Some(guard) => guard,
            None => self.claim_to_delete().await?,
        };
        match guard.store().delete(guard.lease()).await {
            Ok(()) => {}
            // It was taken over in this moment; nothing of it was removed.
            Err(StoreError::LeaseLost { name }) => return Err(SessionError::Busy { name }),
            Err(error) => return Err(error.into()),
        }
        guard.release().await;
        tracing::info!(session = %self.name, "session deleted");
        self.shared.changed(Change::List);
        Ok(())
    }

    async fn claim_to_delete(&self) -> Result<LeaseGuard, SessionError> {
        let started = Instant::now();
        let mut ticket = None;
        let claimed = loop {
            let now = Timestamp::now();
            let store = self.shared.store(now).await?;
            match store.claim(&self.name, ticket, self.lease_time(), now).await? {
                // Another server at rest releases it when it sees that the session is wanted.
                Claim::Held(ahead) if !ahead.running && started.elapsed() < RELEASE_TIMEOUT => {
                    if ticket.is_none() {
                        ticket = store.enqueue(&self.name, usize::MAX, self.lease_time()).await?;
                    }
                    tokio::time::sleep(WANTED_TICK).await;
                }
                Claim::Held(_) => break Err(SessionError::Busy { name: self.name.clone() }),
                Claim::Missing => break Err(SessionError::Unknown { name: self.name.clone() }),
                // A record that cannot be read can still be deleted.
                Claim::Ours { lease, .. } => break Ok(self.keep(lease, store)),
            }
        };
        if let (Err(_), Some(ticket)) = (&claimed, ticket) {
            self.shared.store(Timestamp::now()).await?.dequeue(ticket).await?;
        }
        claimed
    }
}
