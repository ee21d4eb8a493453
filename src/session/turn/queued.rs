//! A turn to run, from its call to its end.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::oneshot;

use super::live::{LiveTurn, LogOwner, QueuePosition, Update};
use crate::session::{
    OnBusy, Reply, Request, SessionError, SessionName, SessionStatus, TurnDetails, TurnRecord,
    store::Promise,
};

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
    /// Its number, once it is written as one that waits.
    pub(super) number: Option<u32>,
    /// Until when it waits for the account's allowance, at the latest.
    pub(super) not_before: Option<Timestamp>,
    /// Whether it is a task that its client has cancelled.
    pub(super) task_cancelled: bool,
    /// Whether something else comes first: turns of servers that are gone, or one that Codex has begun by itself.
    pub(super) gives_way: bool,
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
            number: None,
            not_before: None,
            task_cancelled: false,
            gives_way: false,
            span: tracing::Span::current(),
        }
    }

    /// A turn that another server had promised to run.
    pub(in crate::session) fn adopted(
        session: &SessionName,
        request: Request,
        number: u32,
    ) -> Self {
        // The same call made again gets this turn.
        let live = LiveTurn::of_call(request.digest(session).filter(|_| request.joins));
        live.set_number(number);
        // That it waits was decided before.
        let request = Request { on_busy: OnBusy::Queue, ..request };
        Self { number: Some(number), ..Self::new(request, false, live) }
    }

    /// What its followers share.
    pub(in crate::session) fn live(&self) -> &Arc<LiveTurn> {
        &self.live
    }

    /// Whether an attached call of it was dropped.
    pub(super) fn is_cancelled(&self) -> bool {
        self.live.cancelled.is_cancelled()
    }

    /// All that another server needs to run it.
    pub(super) fn promise(&self, runner: &str) -> Promise {
        // A request always has a JSON form.
        let request = serde_json::to_string(&self.request).unwrap_or_default();
        Promise { runner: runner.to_owned(), request }
    }

    /// Its record while it waits.
    pub(super) fn entry(&self, session: &SessionName) -> TurnRecord {
        let mut entry = entry(&self.request, session, 0, SessionStatus::Queued);
        entry.details.not_before = self.not_before;
        entry
    }

    /// Tells everybody who follows that so many turns come before it.
    pub(super) fn log_position(&self, ahead: usize) {
        let Self { number, not_before, .. } = *self;
        self.log(Update::Queued(QueuePosition { ahead, turn: number, not_before }));
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

/// The record of a turn of which nothing has happened yet.
pub(super) fn entry(
    request: &Request,
    session: &SessionName,
    number: u32,
    status: SessionStatus,
) -> TurnRecord {
    TurnRecord {
        number,
        prompt: request.prompt.clone(),
        response: String::new(),
        timestamp: Timestamp::now(),
        status,
        items: Vec::new(),
        details: TurnDetails {
            ephemeral: request.ephemeral,
            call: request.digest(session),
            beside: request.beside.clone(),
            ..TurnDetails::default()
        },
    }
}

/// Answers somebody who may be gone.
pub(super) fn answer<T>(reply: oneshot::Sender<T>, value: T) {
    drop(reply.send(value));
}
