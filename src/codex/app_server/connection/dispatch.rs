//! Sorts what Codex says by itself. Nothing here waits: what takes time becomes a task.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use serde::Deserialize;
use serde_json::Value;

use super::{Connection, OpenApproval, lock};
use crate::codex::{
    approval::{self, ApprovalRequest, PendingApproval},
    ids::ThreadId,
    protocol::{Event, EventKind, GoalUpdated, RateLimitsUpdated, ThreadParams, ThreadRead},
    rpc::{Incoming, Listener, RequestId},
    turn::ThreadEvent,
};

/// How long Codex may take to say whose sub-agent a thread is.
const LOOKUP: Duration = Duration::from_secs(5);

/// What to call a sub-agent that Codex gives no name.
pub(super) const UNNAMED: &str = "sub-agent";

/// Passes on what the reader hears, as long as the connection lives.
#[derive(Debug)]
pub(super) struct Dispatch(Weak<Connection>);

impl Dispatch {
    pub(super) fn new(connection: Weak<Connection>) -> Self {
        Self(connection)
    }
}

impl Listener for Dispatch {
    fn hear(&self, incoming: Incoming) {
        let Some(connection) = self.0.upgrade() else { return };
        match incoming {
            Incoming::Notification { method, params } => connection.notified(&method, &params),
            Incoming::Request { id, method, params } => connection.asked(id, &method, &params),
        }
    }

    fn closed(&self) {
        if let Some(connection) = self.0.upgrade() {
            connection.routes.close();
            // A child that closes its stdout but lives on is of no use.
            connection.process.stop().cancel();
        }
    }
}

impl Connection {
    fn notified(self: &Arc<Self>, method: &str, params: &Value) {
        if let Some(event) = Event::parse(method, params) {
            self.happened(event);
        } else if method == "account/rateLimits/updated"
            && let Ok(news) = RateLimitsUpdated::deserialize(params)
        {
            lock(&self.rate_limits).get_or_insert_default().update(news.rate_limits);
        } else if method == "thread/goal/updated"
            && let Ok(GoalUpdated { goal }) = GoalUpdated::deserialize(params)
            && goal.is_active()
        {
            self.pause_goal(&goal);
        }
    }

    /// Warns the turn that runs on a thread.
    pub(in crate::codex::app_server) fn warn(&self, thread: &ThreadId, message: String) {
        let kind = EventKind::Warning(message);
        drop(self.routes.push(thread, ThreadEvent::Event { turn_id: None, kind }));
    }

    /// Does something for the connection, and nothing waits for it.
    pub(in crate::codex::app_server) fn spawn(
        &self,
        work: impl Future<Output = ()> + Send + 'static,
    ) {
        self.tasks.spawn(work);
    }

    fn happened(&self, event: Event) {
        let Event { thread_id, turn_id, kind } = event;
        if let EventKind::Usage { total, .. } = &kind {
            // Told once for each request to the model, or twice (0.125), and again for a turn that made none (0.169).
            let before = lock(&self.totals).insert(thread_id.clone(), total.clone());
            if !total.is_null() && before.as_ref() == Some(total) {
                return;
            }
        }
        let thread = ThreadId(thread_id);
        self.agents.learn(&thread, &kind);
        let (thread, event) = match kind {
            EventKind::Resolved(request) => {
                // Not there if it has been answered.
                let Some(asked) = lock(&self.approvals).remove(&request) else { return };
                (asked.route, ThreadEvent::ApprovalSettled(asked.approval))
            }
            kind => (thread, ThreadEvent::Event { turn_id, kind }),
        };
        let Some(event) = self.routes.push(&thread, event) else { return };
        // Nothing follows turns that were given up, and of sub-agents only what they use: their turn uses it.
        if let ThreadEvent::Event { kind: kind @ EventKind::Usage { .. }, .. } = event {
            let mut event = ThreadEvent::Event { turn_id: None, kind };
            for ancestor in self.agents.ancestors(&thread) {
                match self.routes.push(&ancestor, event) {
                    Some(unheard) => event = unheard,
                    None => return,
                }
            }
        }
    }

    fn asked(self: &Arc<Self>, id: RequestId, method: &str, params: &Value) {
        let Some(request) = approval::parse(&self.id, method, params) else {
            let (peer, method) = (self.peer.clone(), method.to_owned());
            self.tasks.spawn(async move { peer.refuse(&id, &method).await });
            return;
        };
        let refusal = request.refusal();
        let number = id.to_string();
        let route = ThreadId(request.thread_id.clone().unwrap_or_default());
        let asked = OpenApproval { approval: request.approval.id.clone(), route: route.clone() };
        lock(&self.approvals).insert(number.clone(), asked);
        let (pending, answer) = PendingApproval::new(request);
        self.pass_on(number.clone(), route, pending);
        let (connection, peer) = (Arc::downgrade(self), self.peer.clone());
        let ended = self.process.stop().clone();
        // Dropping the approval, if only because nothing listens, declines it.
        self.tasks.spawn(async move {
            let Some(answer) = ended.run_until_cancelled(answer).await else { return };
            if let Some(connection) = connection.upgrade() {
                lock(&connection.approvals).remove(&number);
            }
            peer.respond(&id, &answer.unwrap_or(refusal)).await;
        });
    }

    /// Passes an approval on to the turn it belongs to; for a sub-agent's, that has to be found first.
    fn pass_on(self: &Arc<Self>, number: String, thread: ThreadId, pending: PendingApproval) {
        let asked = ThreadEvent::ApprovalAsked(pending);
        let Some(ThreadEvent::ApprovalAsked(pending)) = self.routes.push(&thread, asked) else {
            return;
        };
        if self.routes.knows(&thread) {
            // Its turn was given up and is being interrupted.
            return;
        }
        let connection = Arc::clone(self);
        self.tasks.spawn(async move { connection.trace(number, thread, pending).await });
    }

    /// Finds the turn that a sub-agent works for.
    async fn trace(&self, number: String, thread: ThreadId, mut pending: PendingApproval) {
        let agent = self.look_up(&thread).await;
        pending.request.approval.agent = Some(agent.unwrap_or_else(|| UNNAMED.to_owned()));
        let mut asked = ThreadEvent::ApprovalAsked(pending);
        let mut tried = 0;
        loop {
            let ancestors = self.agents.ancestors(&thread);
            for ancestor in ancestors.iter().skip(tried) {
                if let Some(known) = lock(&self.approvals).get_mut(&number) {
                    known.route = ancestor.clone();
                }
                match self.routes.push(ancestor, asked) {
                    None => return,
                    Some(back) => asked = back,
                }
            }
            // An agent's parent may be an agent too, of which nothing was reported here.
            match ancestors.last() {
                Some(last) if ancestors.len() > tried => self.look_up(last).await,
                _ => break,
            };
            tried = ancestors.len();
        }
        if let ThreadEvent::ApprovalAsked(pending) = asked {
            self.lost(&thread, &pending.request);
        }
    }

    /// Notes the parent of a sub-agent's thread and returns its name.
    async fn look_up(&self, thread: &ThreadId) -> Option<String> {
        let params = ThreadParams { thread_id: &thread.0 };
        let read = self.call_within::<ThreadRead>(LOOKUP, "thread/read", params).await;
        let head = read.inspect_err(|error| tracing::debug!(%thread, %error, "unknown agent"));
        let head = head.ok()?.thread;
        if let Some(parent) = head.parent() {
            self.agents.add(thread.clone(), ThreadId(parent.to_owned()));
        }
        head.agent().map(str::to_owned)
    }

    /// Tells of an approval that is declined because it belongs to no turn.
    fn lost(&self, thread: &ThreadId, request: &ApprovalRequest) {
        let asked = request.approval.subject.in_short();
        tracing::warn!(%thread, "declined an approval that belongs to no running turn");
        self.routes.warn(&format!(
            "Codex asked {asked} on thread {thread}, which belongs to no running turn; it was declined."
        ));
    }
}
