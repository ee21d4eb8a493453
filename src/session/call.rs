//! A call under way, from its caller's side: what happens, then what came of it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::sync::{mpsc, oneshot};

use super::{Reply, SessionError, SessionName, actor::Message};
use crate::codex::{Question, QuestionId, TurnEvent};

/// How many updates may wait for a caller; more are dropped, since only the newest matter.
const UPDATES: usize = 64;

/// How long a session may take to say how far it is.
const LOOK_PATIENCE: Duration = Duration::from_secs(2);

/// What happens to a call before it is over.
#[derive(Debug, Clone, PartialEq)]
pub enum Update {
    /// It waits for others to be over.
    Queued(Place),
    /// It follows the turn of this number, which runs.
    Begun(u32),
    /// Something happened in its turn.
    Event(TurnEvent),
    /// Codex asks something, and this caller is the one to answer.
    Asked(Question),
    /// A question needs no answer any more.
    Settled(QuestionId),
}

/// A place in the queue of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// How many turns come before, the running one included.
    pub ahead: usize,
    /// The number its turn will have, unless one before it is called off; none if another server runs
    /// the turn.
    pub turn: Option<u32>,
}

/// How far a call is that does not wait any more.
#[derive(Debug, Clone, PartialEq)]
pub enum HandedBack {
    /// Its turn runs, or has just ended.
    Begun(Box<Reply>),
    /// It waits for its turn.
    Queued(Place),
    /// It is about to begin, or another server runs the turn.
    Unseen,
}

/// What a caller hears next.
#[derive(Debug)]
pub enum Step {
    /// Something happened.
    Update(Update),
    /// The call is over.
    Done(Result<Box<Reply>, SessionError>),
}

/// A call under way. Dropping it takes it back: its turn is interrupted, or never begins.
///
/// A call that only waits for a turn of another one just stops waiting.
#[derive(Debug)]
pub struct Call {
    session: SessionName,
    updates: mpsc::Receiver<Update>,
    done: oneshot::Receiver<Result<Reply, SessionError>>,
    kept: Arc<AtomicBool>,
    holds: bool,
    place: Option<Place>,
    turn: Option<u32>,
    /// None where another server runs the turn.
    actor: Option<mpsc::Sender<Message>>,
}

/// The other end of a call: whoever follows a turn.
#[derive(Debug)]
pub(super) struct Follower {
    updates: mpsc::Sender<Update>,
    done: oneshot::Sender<Result<Reply, SessionError>>,
    /// Whether the turn goes on without it.
    kept: Arc<AtomicBool>,
    /// Whether it can be asked what Codex asks.
    pub(super) can_ask: bool,
}

/// A call and its follower. A call that `holds` its turn ends it when it is dropped.
pub(super) fn channel(
    session: SessionName,
    actor: Option<mpsc::Sender<Message>>,
    holds: bool,
    can_ask: bool,
) -> (Call, Follower) {
    let (update, updates) = mpsc::channel(UPDATES);
    let (finish, done) = oneshot::channel();
    let kept = Arc::new(AtomicBool::new(!holds));
    let flag = Arc::clone(&kept);
    let call = Call { session, updates, done, kept: flag, holds, place: None, turn: None, actor };
    (call, Follower { updates: update, done: finish, kept, can_ask })
}

impl Call {
    /// The session it belongs to.
    pub fn session(&self) -> &SessionName {
        &self.session
    }

    /// The number of its turn, once that runs.
    pub fn turn(&self) -> Option<u32> {
        self.turn
    }

    /// Whether it was made to end its turn when it is dropped.
    pub fn holds(&self) -> bool {
        self.holds
    }

    /// Waits for what happens next. Not to be called again after [`Step::Done`].
    ///
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Step {
        tokio::select! {
            biased;
            Some(update) = self.updates.recv() => {
                self.note(&update);
                Step::Update(update)
            }
            done = &mut self.done => {
                Step::Done(done.unwrap_or(Err(SessionError::ShuttingDown)).map(Box::new))
            }
        }
    }

    /// Stops following and lets the turn go on. Returns how far it is.
    ///
    /// # Errors
    /// If the call has just come to nothing.
    pub async fn hand_back(mut self) -> Result<HandedBack, SessionError> {
        self.kept.store(true, Ordering::Relaxed);
        let seen = self.look().await;
        if let Ok(outcome) = self.done.try_recv() {
            return outcome.map(|reply| HandedBack::Begun(Box::new(reply)));
        }
        while let Ok(update) = self.updates.try_recv() {
            self.note(&update);
        }
        Ok(match (seen, self.place) {
            (Some(reply), _) => HandedBack::Begun(Box::new(reply)),
            (None, Some(place)) => HandedBack::Queued(place),
            (None, None) => HandedBack::Unseen,
        })
    }

    async fn look(&self) -> Option<Reply> {
        let (reply, seen) = oneshot::channel();
        let look = Message::Look(Arc::clone(&self.kept), reply);
        self.actor.as_ref()?.try_send(look).ok()?;
        tokio::time::timeout(LOOK_PATIENCE, seen).await.ok()?.ok()?
    }

    fn note(&mut self, update: &Update) {
        match update {
            Update::Queued(place) => self.place = Some(*place),
            Update::Begun(number) => (self.turn, self.place) = (Some(*number), None),
            _ => {}
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.updates.close();
        if let Some(actor) = &self.actor {
            // Only makes it quicker: it is noticed anyway.
            let _ = actor.try_send(Message::Left);
        }
    }
}

impl Follower {
    /// Tells it something, unless it is far behind.
    pub(super) fn tell(&self, update: Update) -> bool {
        self.updates.try_send(update).is_ok()
    }

    /// Tells it what came of the call.
    pub(super) fn finish(self, outcome: Result<Reply, SessionError>) {
        // It may be gone.
        drop(self.done.send(outcome));
    }

    pub(super) fn is_gone(&self) -> bool {
        self.updates.is_closed()
    }

    /// Whether it went away in a way that ends its turn.
    pub(super) fn has_cancelled(&self) -> bool {
        self.is_gone() && !self.is_kept()
    }

    /// Whether the turn goes on without it.
    pub(super) fn is_kept(&self) -> bool {
        self.kept.load(Ordering::Relaxed)
    }

    /// Whether this is the other end of the call with this flag.
    pub(super) fn belongs_to(&self, kept: &Arc<AtomicBool>) -> bool {
        Arc::ptr_eq(&self.kept, kept)
    }

    /// Whether it is the same as another one.
    pub(super) fn is(&self, other: &mpsc::Sender<Update>) -> bool {
        self.updates.same_channel(other)
    }

    /// Makes its turn go on without it from now on.
    pub(super) fn keep(&self) {
        self.kept.store(true, Ordering::Relaxed);
    }

    pub(super) fn line(&self) -> mpsc::Sender<Update> {
        self.updates.clone()
    }
}
