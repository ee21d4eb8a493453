//! The messages in the mailbox of a session's actor.

use tokio::sync::oneshot;

use super::{live::TurnKey, loan::Loan, queued::QueuedTurn};
use crate::session::{Reply, SessionError};

/// A message to the actor of a session. Requests carry the channel for their answer.
#[derive(Debug)]
pub(in crate::session) enum Message {
    /// Run a turn.
    Send(Box<QueuedTurn>),
    /// Report the turn so far. The answer is `None` if it is not the running turn.
    Inspect(TurnKey, oneshot::Sender<Option<Reply>>),
    /// Steer the running turn. The answer is its number.
    Steer(String, oneshot::Sender<Result<u32, SessionError>>),
    /// Interrupt the running turn. The answer is the ended turn, or `None` if no turn ran or it failed.
    Interrupt(oneshot::Sender<Option<Reply>>),
    /// Cancel the task that the running turn is, if it is the turn of this number. The answer is as for an interrupt.
    CancelTask(u32, oneshot::Sender<Option<Reply>>),
    /// Read the store's inbox now instead of at the next tick.
    CheckInbox,
    /// Lend the session, unless a turn of it runs or waits.
    Lend(oneshot::Sender<Result<Loan, SessionError>>),
}
