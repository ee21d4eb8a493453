//! One session in use: the task that runs its turns, one at a time.
//!
//! An actor lives from the first message for its session until nobody needs it: some moments after
//! its last turn it lets go of the thread and of the lease, so that any other process can continue,
//! and leaves. [`life`] is its loop; [`open`] finds the session and its thread; [`plan`] decides what
//! a turn runs with; [`turn`] runs and records it.

mod life;
mod open;
mod plan;
mod turn;

use std::{sync::Arc, time::Duration};

use tokio::sync::{mpsc, oneshot};

use super::{Reply, Request, SessionError, SessionName, sessions::Shared};

/// How long all actors together may take to record and leave when the server ends.
pub(super) const FAREWELL: Duration = Duration::from_secs(8);

/// What an actor is asked for.
#[derive(Debug)]
pub(super) enum Message {
    /// To run a turn.
    Send(Box<Order>),
    /// To delete the session.
    Delete(oneshot::Sender<Result<(), SessionError>>),
}

/// A turn to run, and who waits for it. Whoever stops waiting calls it off.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) request: Request,
    /// Whether the name was made up for this call.
    pub(super) automatic: bool,
    pub(super) reply: oneshot::Sender<Result<Reply, SessionError>>,
}

/// Runs the session's actor to its end.
pub(super) async fn run(name: SessionName, shared: Arc<Shared>, mailbox: mpsc::Receiver<Message>) {
    life::Actor::new(name, shared, mailbox).live().await;
}
