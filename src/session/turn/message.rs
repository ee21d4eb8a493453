//! What the actor of a session is asked for.

use tokio::sync::oneshot;

use super::{live::TurnKey, queued::QueuedTurn};
use crate::session::{Reply, SessionError};

/// A message to the actor of a session.
#[derive(Debug)]
pub(in crate::session) enum Message {
    /// To run a turn.
    Send(Box<QueuedTurn>),
    /// How far a turn is, if it is the one that runs.
    Inspect(TurnKey, oneshot::Sender<Option<Reply>>),
    /// To say something more to the running turn. The answer is its number.
    Steer(String, oneshot::Sender<Result<u32, SessionError>>),
    /// To interrupt the running turn. The answer is what it came to, or None if none runs.
    Interrupt(oneshot::Sender<Option<Reply>>),
    /// To read the inbox now instead of at the next tick: something for the running turn is in it.
    CheckInbox,
    /// To delete the session.
    Delete(oneshot::Sender<Result<(), SessionError>>),
}
