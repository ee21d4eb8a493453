//! The actor of one session: it serves calls, rests, releases the session and ends.

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
use crate::codex::Turn;
use crate::session::{
    Reply, SessionError, SessionName, SessionRecord, Stop,
    at_rest::delete,
    lease::LeaseGuard,
    measures::TurnTime,
    rollouts::Known,
    shared::Shared,
    store::{Claim, ControlMessage, Inbox, Lease, MessageId, Store},
};

/// The pause between two claims of a session that another server is about to release.
const RELEASE_PAUSE: Duration = Duration::from_millis(200);

/// How long a thread is kept for sub-agents that still work, unless another server wants the session.
const AGENTS: Duration = Duration::from_mins(10);

/// How long a deletion or a renaming waits for a resting server to release the session.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(1);

/// What comes to an actor that has nothing to do.
enum Rest {
    Message(Message),
    /// Codex has begun a turn by itself.
    Unasked(Box<Turn>),
    /// It is time to release the session.
    Over,
}

/// One session in use: the task that runs its turns, one at a time.
#[derive(Debug)]
pub(in crate::session) struct Actor {
    pub(super) name: SessionName,
    pub(super) shared: Arc<Shared>,
    pub(super) mailbox: mpsc::Receiver<Message>,
    pub(super) loaded: Option<Loaded>,
    /// Those of its queued turns that this server runs, with their callers. That they wait, and in which order, is what the
    /// store says.
    pub(super) waiting: VecDeque<Box<QueuedTurn>>,
    /// What is kept of the thread's history, as far as is known under this lease.
    pub(super) kept: Known,
    /// The lease, from a claim until the session is released.
    pub(super) lease: Option<LeaseGuard>,
    /// The number that the turn has which is to begin, or runs.
    pub(super) number: u32,
    /// The session after a turn whose thread does not have the session's name yet.
    pub(super) to_name: Option<SessionRecord>,
    /// How the time of the turn is spent.
    pub(super) time: TurnTime,
    /// Whether the last turn was ours and its answer has been given to somebody.
    pub(super) is_collected: bool,
}

impl Actor {
    pub(in crate::session) fn new(
        name: SessionName,
        shared: Arc<Shared>,
        mailbox: mpsc::Receiver<Message>,
    ) -> Self {
        let waiting = VecDeque::new();
        Self {
            name,
            shared,
            mailbox,
            loaded: None,
            waiting,
            kept: Known::default(),
            lease: None,
            number: 0,
            to_name: None,
            time: TurnTime::begin(),
            is_collected: false,
        }
    }

    /// Runs until the session is idle: some time after the last turn the actor releases thread and lease, so that any
    /// other process can continue.
    pub(in crate::session) async fn run(mut self) {
        loop {
            if let Some(turn) = self.take_unasked() {
                self.follow_unasked(turn).await;
                continue;
            }
            if let Some(turn) = self.waiting.pop_front() {
                self.log_positions();
                self.serve(*turn).await;
                continue;
            }
            match self.rest().await {
                Rest::Message(message) => {
                    self.at_rest(message).await;
                    continue;
                }
                Rest::Unasked(turn) => {
                    self.follow_unasked(*turn).await;
                    continue;
                }
                Rest::Over if self.goes_on_by_itself().await => continue,
                Rest::Over => self.release().await,
            }
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
            if let Some(loaded) = &self.loaded {
                // While the session is claimed.
                loaded.thread.ask_ahead();
            }
            let fields = tracing::field::Empty;
            let span = tracing::info_span!(parent: &turn.span, "turn", session = %self.name, thread_id = fields, turn_id = fields);
            self.turn(&mut turn).instrument(span).await
        };
        if std::mem::take(&mut turn.gives_way) {
            // Back in line first: what comes now may be about it. If Codex runs a turn of its own, all that waits is written down
            // when that one is.
            self.wait_in_line(Box::new(turn));
            while !self.has_unasked()
                && let Ok(message) = self.mailbox.try_recv()
            {
                self.at_rest(message).await;
            }
            return;
        }
        match &outcome {
            Ok(Some(_)) => {}
            Ok(None) => self.call_off(&turn, Stop::Cancelled, None).await,
            // The next server that may runs it.
            Err(SessionError::ShuttingDown) if turn.live.is_detached() => self.give_up().await,
            Err(SessionError::ShuttingDown) => self.call_off(&turn, Stop::Shutdown, None).await,
            Err(error) => self.call_off(&turn, Stop::Cancelled, Some(error.to_string())).await,
        }
        if !matches!(outcome, Ok(Some(_))) && !self.has_unasked() {
            // Nothing was written that says that no turn runs.
            self.release().await;
        }
        match outcome {
            Ok(Some(reply)) => self.ended(turn, reply).await,
            Ok(None) => turn.end(Err(SessionError::Cancelled)),
            Err(error) => {
                tracing::info!(session = %self.name, error = &error as &dyn std::error::Error, "no turn");
                let error = match (error, turn.number) {
                    (SessionError::ShuttingDown, Some(number)) if turn.live.is_detached() => {
                        SessionError::LeftToOthers { name: self.name.clone(), turn: number }
                    }
                    (error, _) => error,
                };
                turn.end(Err(error));
            }
        }
        self.shared.forget_ended(&self.name);
    }

    /// Gives a turn's answer to those who wait for it, and does what has time until then.
    pub(super) async fn ended(&mut self, turn: QueuedTurn, reply: Reply) {
        // Deleted before the reply, so that a caller with the reply does not find the session.
        let forget = reply.turn.details.ephemeral && !turn.live.is_detached();
        if forget && let Err(error) = self.delete_before(self.number).await {
            tracing::warn!(session = %self.name, error = &error as &dyn std::error::Error, "cannot delete an ephemeral session");
        }
        let number = reply.turn.number;
        let is_left = reply.turn.details.uncollected;
        let readers = turn.live.log.is_read();
        turn.end(Ok(Arc::new(reply)));
        // Somebody has come meanwhile.
        if is_left && readers {
            self.collect(number).await;
        }
        // After the reply: nobody waits for it.
        if let Some(record) = self.to_name.take() {
            self.name_thread(record).await;
        }
    }

    /// Waits for what comes next.
    async fn rest(&mut self) -> Rest {
        let (Some(guard), Some(loaded)) = (&self.lease, &self.loaded) else {
            return self.mailbox.try_recv().map_or(Rest::Over, Rest::Message);
        };
        let begun = Instant::now();
        let mut deadline = begun + self.shared.config.release_after;
        // How often to see whether another server wants the session.
        let poll = self.shared.config.poll();
        let mut tick = interval_at(Instant::now() + poll / 4, poll);
        loop {
            tokio::select! {
                biased;
                message = self.mailbox.recv() => match message {
                    Some(Message::CheckInbox) => tick.reset_immediately(),
                    message => return message.map_or(Rest::Over, Rest::Message),
                },
                turn = loaded.thread.unasked() => return Rest::Unasked(Box::new(turn)),
                () = self.shared.closing.cancelled() => return Rest::Over,
                () = guard.lost().cancelled() => return Rest::Over,
                () = tokio::time::sleep_until(deadline) => {
                    // What a sub-agent finds out is told to the model with the next turn.
                    if !loaded.thread.has_working_agents() || begun.elapsed() > AGENTS {
                        return Rest::Over;
                    }
                    deadline = Instant::now() + poll;
                }
                _ = tick.tick() => {
                    let inbox = guard.store().inbox(guard.lease(), MessageId::default()).await;
                    let is_asked = |inbox: Inbox| {
                        let release = ControlMessage::Release;
                        let asks = inbox.messages.iter().any(|(_, message)| *message == release);
                        inbox.wanted || asks || !inbox.held
                    };
                    if inbox.is_ok_and(is_asked) {
                        return Rest::Over;
                    }
                }
            }
        }
    }

    /// How long a lease lasts without renewal. Matters only if its owner hangs or is suspended, because a dead owner is
    /// noticed at once.
    pub(super) fn lease_time(&self) -> Duration {
        self.shared.config.lease()
    }

    /// Starts to renew a lease that was just claimed.
    pub(super) fn keep(&self, lease: Lease, store: Arc<dyn Store>) -> LeaseGuard {
        let measures = self.shared.measures.clone();
        LeaseGuard::keep(lease, store, self.lease_time(), &self.shared.tasks, measures)
    }

    /// Notes that somebody has the answer of a turn.
    async fn collect(&mut self, number: u32) {
        let Some(guard) = &self.lease else { return };
        match guard.store().collect(&self.name, number).await {
            Ok(_) => self.is_collected = true,
            Err(error) => {
                tracing::warn!(session = %self.name, %error, "cannot mark an answer as collected");
            }
        }
    }

    /// Releases thread and lease.
    pub(super) async fn release(&mut self) {
        self.is_collected = false;
        self.unload().await;
        self.kept = Known::default();
        if let Some(guard) = self.lease.take() {
            guard.release().await;
        }
    }

    /// Ends the actor unless a message has just come.
    fn leave(&mut self) -> bool {
        // While the lock is held, nobody can look the mailbox up and post to it.
        let mut live = self.shared.live();
        if !self.mailbox.is_empty() && !self.shared.closing.is_cancelled() {
            return false;
        }
        self.mailbox.close();
        live.remove(&self.name);
        drop(live);
        // Messages posted just before the server began to shut down.
        while let Ok(message) = self.mailbox.try_recv() {
            if let Message::Lend(reply) = message {
                answer(reply, Err(SessionError::ShuttingDown));
            }
        }
        true
    }

    /// Handles a message while no turn of ours runs.
    pub(super) async fn at_rest(&mut self, message: Message) {
        match message {
            Message::Send(turn) => self.wait_in_line(turn),
            Message::Inspect(id, reply) => {
                self.keep_promise(id, None).await;
                answer(reply, None);
            }
            Message::Interrupt(reply) => answer(reply, None),
            Message::CancelTask(number, reply) => {
                self.cancel_waiting(number).await;
                answer(reply, None);
            }
            Message::Steer(_, reply) => {
                answer(reply, Err(SessionError::Idle { name: self.name.clone() }));
            }
            Message::CheckInbox => {}
            Message::Lend(reply) => self.lend(reply).await,
        }
    }

    /// Deletes a session of which nothing is kept, unless a turn of it waits that comes before this number.
    async fn delete_before(&mut self, number: u32) -> Result<(), SessionError> {
        self.unload().await;
        let guard = self.guard_before(number).await?;
        delete(&self.shared, &self.name, guard, true).await
    }

    /// The session's lease if no turn runs, and none waits before this number, not even one of a server that is gone.
    pub(super) async fn guard_before(&mut self, number: u32) -> Result<LeaseGuard, SessionError> {
        let guard = match self.lease.take() {
            Some(guard) => guard,
            None => self.claim_at_rest().await?,
        };
        if self.adopts_before(number).await {
            self.lease = Some(guard);
            return Err(SessionError::Busy { name: self.name.clone() });
        }
        Ok(guard)
    }

    async fn claim_at_rest(&self) -> Result<LeaseGuard, SessionError> {
        let started = Instant::now();
        let mut asked = false;
        loop {
            let now = Timestamp::now();
            let store = self.shared.store(now).await?;
            match store.claim(&self.name, None, self.lease_time(), now).await? {
                // A resting server releases the session when it is asked to.
                Claim::Held(ahead) if !ahead.running && started.elapsed() < RELEASE_TIMEOUT => {
                    if !std::mem::replace(&mut asked, true) {
                        store.post(&self.name, &ControlMessage::Release).await?;
                    }
                    tokio::time::sleep(RELEASE_PAUSE).await;
                }
                Claim::Held(_) => return Err(SessionError::Busy { name: self.name.clone() }),
                Claim::Missing => return Err(SessionError::Unknown { name: self.name.clone() }),
                // A record that cannot be read can still be deleted.
                Claim::Ours { lease, .. } => return Ok(self.keep(lease, store)),
            }
        }
    }
}
