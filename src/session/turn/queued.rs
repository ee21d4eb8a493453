//! A turn to run, from its call to its end.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::live::{LiveTurn, LogOwner, Update};
use crate::session::{Reply, Request, SessionError, store::Ticket};

/// A turn to run. It is called off when an attached call is dropped.
#[derive(Debug)]
pub(in crate::session) struct QueuedTurn {
    pub(super) request: Request,
    /// Whether the session's name was made up for this call.
    pub(super) automatic: bool,
    /// What its followers see.
    pub(super) live: LogOwner,
    /// Those who had it interrupted.
    pub(super) interrupters: Vec<oneshot::Sender<Option<Reply>>>,
    /// Its place among the calls of all servers, once it has to wait.
    pub(super) ticket: Option<Ticket>,
    /// The call's, which the turn's is part of.
    pub(super) span: tracing::Span,
}

impl QueuedTurn {
    pub(in crate::session) fn new(request: Request, automatic: bool, live: Arc<LiveTurn>) -> Self {
        let live = LogOwner(live);
        Self {
            request,
            automatic,
            live,
            interrupters: Vec::new(),
            ticket: None,
            span: tracing::Span::current(),
        }
    }

    /// Whether an attached call of it was dropped.
    pub(super) fn is_cancelled(&self) -> bool {
        self.live.cancelled.is_cancelled()
    }

    /// Tells everybody who follows.
    pub(super) fn log(&self, update: Update) {
        self.live.log.append(update);
    }

    /// Tells everybody what came of it.
    pub(super) fn end(self, outcome: Result<Arc<Reply>, SessionError>) {
        for interrupter in self.interrupters {
            answer(interrupter, outcome.as_deref().ok().cloned());
        }
        self.live.log.append(Update::Ended(outcome.map_err(Arc::new)));
    }
}

/// Answers somebody who may be gone.
pub(super) fn answer<T>(reply: oneshot::Sender<T>, value: T) {
    drop(reply.send(value));
}
