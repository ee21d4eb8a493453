//! A call under way, from its caller's side: what happens, then what came of it.

use std::{sync::Arc, time::Duration};

use tokio::sync::{mpsc, oneshot};

use super::{
    live::{
        Calling, CanAsk, CancelOnDrop, JoinedTurn, LiveTurn, LogPlace, LogReader, QueuePosition,
        ReadFrom, Update,
    },
    message::Message,
};
use crate::session::{Principal, Reply, SessionError, SessionName, Verb};

/// How long a session may take to say how far its turn is.
const INSPECT_TIMEOUT: Duration = Duration::from_secs(2);

/// What a caller hears next.
#[derive(Debug)]
pub enum Step {
    /// Something happened.
    Update(Update),
    /// The call is over.
    Done(Result<Arc<Reply>, Arc<SessionError>>),
}

/// How far a call was when it was detached from its turn.
#[derive(Debug, Clone, PartialEq)]
pub enum Detached {
    /// Its turn runs, or has just ended.
    Begun(Arc<Reply>),
    /// It waits for its turn.
    Queued(QueuePosition),
    /// It is about to begin, or another server runs the turn: of this number, if that is known.
    Unseen(Option<u32>),
}

/// Who follows a turn, and how.
#[derive(Debug, Clone, Copy)]
pub struct Follower {
    /// Whether dropping the call cancels the turn.
    pub attached: bool,
    /// Whether what Codex asks can be shown to the user.
    pub can_ask: bool,
    /// Whether it only looks: the answer still belongs to whoever calls for it.
    pub looks_only: bool,
}

impl Follower {
    /// The same for this caller, which only looks if it may not decide anything.
    pub(in crate::session) fn of(self, caller: &Principal) -> Self {
        Self {
            attached: self.attached && caller.may(Verb::Interrupt),
            can_ask: self.can_ask && caller.may(Verb::Answer),
            looks_only: self.looks_only || !caller.may(Verb::Collect),
        }
    }
}

/// A call under way: a place in the log of its turn.
///
/// Dropping an attached call cancels its turn: the turn is interrupted, or never begins.
#[derive(Debug)]
pub struct Call {
    session: SessionName,
    reader: LogReader,
    turn: Arc<LiveTurn>,
    attachment: Option<CancelOnDrop>,
    can_ask: Option<CanAsk>,
    calling: Option<Calling>,
    joined: bool,
    looks_only: bool,
    position: Option<QueuePosition>,
    /// None where another server runs the turn.
    actor: Option<mpsc::Sender<Message>>,
}

impl Call {
    /// A call that reads its turn's log from somewhere on.
    pub(in crate::session) fn new(
        session: SessionName,
        turn: Arc<LiveTurn>,
        follower: Follower,
        actor: Option<mpsc::Sender<Message>>,
        from: ReadFrom,
    ) -> Self {
        let reader = turn.log.read(from, follower.looks_only);
        Self {
            session,
            reader,
            attachment: follower.attached.then(|| turn.attach()),
            can_ask: follower.can_ask.then(|| turn.add_askable()),
            calling: None,
            joined: false,
            looks_only: follower.looks_only,
            position: None,
            turn,
            actor,
        }
    }

    /// The same as the call whose answer the turn is: its own turn, or one that an equal call has left.
    pub(in crate::session) fn calling(mut self, joined: bool) -> Self {
        self.calling = Some(self.turn.add_caller());
        self.joined = joined;
        self
    }

    /// Whether its turn is that of an earlier call which this one repeats.
    pub fn is_joined(&self) -> bool {
        self.joined
    }

    /// The session it belongs to.
    pub fn session(&self) -> &SessionName {
        &self.session
    }

    /// The number of its turn. None before that has begun.
    pub fn turn(&self) -> Option<u32> {
        self.turn.number()
    }

    /// How far it has heard of its turn: [`Sessions::follow_from`](crate::session::Sessions::follow_from) goes on there.
    pub fn place(&self) -> LogPlace {
        self.reader.place()
    }

    /// Whether dropping it cancels its turn.
    pub fn is_attached(&self) -> bool {
        self.attachment.is_some()
    }

    /// Cancels its turn if it is attached to it: the turn is interrupted, or never begins. What comes of that is still
    /// to be heard.
    pub fn cancel(&self) {
        if self.is_attached() {
            self.turn.cancel();
        }
    }

    /// Waits for what happens next. Not to be called again after [`Step::Done`].
    ///
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Step {
        loop {
            match self.reader.next().await {
                Update::Joined(JoinedTurn(turn)) => self.join(turn),
                Update::Ended(outcome) => return Step::Done(outcome),
                update => {
                    self.note(&update);
                    return Step::Update(update);
                }
            }
        }
    }

    /// Stops following and lets the turn go on by itself. Returns how far it is.
    ///
    /// # Errors
    /// If the call has just come to nothing.
    pub async fn detach(mut self) -> Result<Detached, Arc<SessionError>> {
        if let Some(attachment) = self.attachment.take() {
            attachment.detach();
        }
        let inspected = self.inspect().await;
        while let Some(update) = self.reader.try_next() {
            match update {
                Update::Ended(outcome) => return outcome.map(Detached::Begun),
                Update::Joined(JoinedTurn(turn)) => self.join(turn),
                update => self.note(&update),
            }
        }
        Ok(match (inspected, self.position) {
            (Some(reply), _) => Detached::Begun(Arc::new(reply)),
            (None, Some(position)) => Detached::Queued(position),
            (None, None) => Detached::Unseen(self.turn.number()),
        })
    }

    async fn inspect(&self) -> Option<Reply> {
        let (reply, inspected) = oneshot::channel();
        self.actor.as_ref()?.try_send(Message::Inspect(self.turn.id(), reply)).ok()?;
        tokio::time::timeout(INSPECT_TIMEOUT, inspected).await.ok()?.ok()?
    }

    /// Goes on in the log of the turn this one has become part of. That one belongs to the call that began it.
    fn join(&mut self, turn: Arc<LiveTurn>) {
        if let Some(attachment) = self.attachment.take() {
            attachment.detach();
        }
        self.can_ask = self.can_ask.take().map(|_| turn.add_askable());
        self.calling = None;
        self.reader = turn.log.read(ReadFrom::Now, self.looks_only);
        self.turn = turn;
    }

    fn note(&mut self, update: &Update) {
        match update {
            Update::Queued(position) => self.position = Some(*position),
            Update::Begun(_) => self.position = None,
            Update::Repeated => self.joined = true,
            _ => {}
        }
    }
}
