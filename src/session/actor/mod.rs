//! One session in use: the task that runs its turns, one at a time.
//!
//! An actor lives from the first message for its session until nobody needs it: some moments after
//! its last turn it lets go of the thread and of the lease, so that any other process can continue,
//! and leaves. [`life`] is its loop; [`queue`] is who waits; [`open`] finds the session and its thread;
//! [`plan`] decides what a turn runs with; [`turn`] runs and records it; [`watch`] follows it while it
//! runs, with [`questions`] for what Codex asks and [`steering`] for what is said meanwhile.

mod life;
mod open;
mod order;
mod plan;
mod questions;
mod queue;
mod steering;
mod turn;
mod watch;

use std::{
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use tokio::sync::{mpsc, oneshot};

use super::{Reply, SessionError, SessionName, call::Follower, sessions::Shared};
use crate::codex::{Answer, QuestionId};

pub(super) use order::Order;
pub(super) use plan::Plan;

/// How long all actors together may take to record and leave when the server ends.
pub(super) const FAREWELL: Duration = Duration::from_secs(8);

/// What an actor is asked for.
#[derive(Debug)]
pub(super) enum Message {
    /// To run a turn.
    Send(Box<Order>),
    /// To tell somebody else about a turn: the running one, or the one of this number.
    Follow(Follower, Option<u32>),
    /// How far the turn of a call is, if it is the one that runs; the flag is the call's own.
    Look(Arc<AtomicBool>, oneshot::Sender<Option<Reply>>),
    /// To say something to the running turn; its number is the answer.
    Steer(String, oneshot::Sender<Result<u32, SessionError>>),
    /// To interrupt the running turn; what it came to is the answer, if one ran.
    Interrupt(oneshot::Sender<Option<Reply>>),
    /// To answer a question of Codex.
    Answer {
        id: QuestionId,
        answer: Answer,
        /// What the record shall say about it.
        remark: Option<String>,
        /// Told whether the question was still open.
        reply: oneshot::Sender<bool>,
    },
    /// To delete the session.
    Delete(oneshot::Sender<Result<(), SessionError>>),
    /// Somebody who followed a turn has gone away.
    Left,
}

/// Runs the session's actor to its end.
pub(super) async fn run(name: SessionName, shared: Arc<Shared>, mailbox: mpsc::Receiver<Message>) {
    life::Actor::new(name, shared, mailbox).live().await;
}

/// Answers; whoever asked may be gone.
fn answer<T>(reply: oneshot::Sender<T>, value: T) {
    drop(reply.send(value));
}
