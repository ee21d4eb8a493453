//! What Codex reports about one turn, on its way to the turn's owner.
//!
//! Pushing never waits, so a turn that is not read costs the others nothing. What is kept for it is
//! bounded by merging and, past a limit, dropping what may be lost: pieces of a message, which comes again
//! as a whole, and passing news. Approvals, items that have ended and the turn's end are never dropped.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
};

use tokio::sync::Notify;

use crate::codex::{
    approval::{ApprovalId, PendingApproval},
    protocol::EventKind,
};

/// How many bytes of messages that are being written wait at most.
const DELTA_BYTES: usize = 1024 * 1024;

/// How many events wait before passing news is dropped.
const LIMIT: usize = 1024;

/// What a turn receives.
#[derive(Debug)]
pub(crate) enum ThreadEvent {
    /// Codex reports something. Without a turn it concerns the thread as a whole.
    Event {
        turn_id: Option<String>,
        kind: EventKind,
    },
    ApprovalAsked(PendingApproval),
    /// Codex no longer waits for this approval.
    ApprovalSettled(ApprovalId),
}

impl ThreadEvent {
    /// The piece of a message that it is; else empty.
    fn delta(&self) -> &str {
        match self {
            Self::Event { kind: EventKind::MessageDelta(text), .. } => text,
            _ => "",
        }
    }

    /// Whether a turn can do without it.
    fn is_passing(&self) -> bool {
        use EventKind::{Error, MessageDelta, Plan, ThreadClosed};
        let Self::Event { kind, .. } = self else { return false };
        matches!(kind, MessageDelta(_) | Plan(_) | ThreadClosed | Error { will_retry: true, .. })
    }
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    news: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    events: VecDeque<ThreadEvent>,
    /// How much of it is pieces of messages.
    delta_bytes: usize,
    /// Nothing more will come, or nothing more will be read.
    is_closed: bool,
}

/// The end that fills an inbox. Dropping it ends the inbox once it has been read.
#[derive(Debug)]
pub(crate) struct Outlet(Arc<Shared>);

/// The end that reads it. Dropping it drops what is in it, which declines approvals.
#[derive(Debug)]
pub(crate) struct Inbox(Arc<Shared>);

/// An empty inbox.
pub(crate) fn inbox() -> (Outlet, Inbox) {
    let shared = Arc::<Shared>::default();
    (Outlet(Arc::clone(&shared)), Inbox(shared))
}

impl Outlet {
    /// Whether the other end is still there.
    pub(crate) fn is_read(&self) -> bool {
        !self.0.lock().is_closed
    }

    /// Adds an event. It is dropped if the other end is gone.
    pub(crate) fn push(&self, event: ThreadEvent) {
        self.0.lock().push(event);
        self.0.news.notify_one();
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        self.0.lock().is_closed = true;
        self.0.news.notify_one();
    }
}

impl Inbox {
    /// Waits for the next event. `None` once the other end is gone and everything has been read.
    ///
    /// Dropping the future loses nothing.
    pub(crate) async fn next(&mut self) -> Option<ThreadEvent> {
        loop {
            if let Poll::Ready(next) = self.0.next() {
                return next;
            }
            self.0.news.notified().await;
        }
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        let mut queue = self.0.lock();
        queue.is_closed = true;
        let unread = std::mem::take(&mut queue.events);
        drop(queue);
        drop(unread);
    }
}

impl Shared {
    /// The next event, or `None` if there will be none.
    fn next(&self) -> Poll<Option<ThreadEvent>> {
        let mut queue = self.lock();
        match queue.pop() {
            None if !queue.is_closed => Poll::Pending,
            next => Poll::Ready(next),
        }
    }

    /// The lock is never held across an await and nothing under it can panic.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn push(&mut self, event: ThreadEvent) {
        let is_full = self.events.len() >= LIMIT && event.is_passing();
        let room = DELTA_BYTES.saturating_sub(self.delta_bytes);
        if self.is_closed || event.delta().len() > room {
            return;
        }
        self.delta_bytes += event.delta().len();
        match (event, self.events.back_mut()) {
            (
                ThreadEvent::Event { turn_id, kind: EventKind::MessageDelta(more) },
                Some(ThreadEvent::Event { turn_id: last, kind: EventKind::MessageDelta(text) }),
            ) if turn_id == *last => text.push_str(&more),
            _ if is_full => {}
            (event, _) => self.events.push_back(event),
        }
    }

    fn pop(&mut self) -> Option<ThreadEvent> {
        let event = self.events.pop_front()?;
        self.delta_bytes = self.delta_bytes.saturating_sub(event.delta().len());
        Some(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codex::protocol::{Item, TurnEnd};

    fn event(kind: EventKind) -> ThreadEvent {
        ThreadEvent::Event { turn_id: Some("1".into()), kind }
    }

    fn delta(text: &str) -> ThreadEvent {
        event(EventKind::MessageDelta(text.into()))
    }

    fn message() -> ThreadEvent {
        event(EventKind::ItemCompleted(Item::AgentMessage { text: "whole".into() }))
    }

    fn end() -> ThreadEvent {
        let (id, status) = ("1".to_owned(), "completed".to_owned());
        event(EventKind::Ended(TurnEnd { id, status, error: None, items: vec![] }))
    }

    async fn all(mut inbox: Inbox) -> Vec<ThreadEvent> {
        let mut events = Vec::new();
        while let Some(event) = inbox.next().await {
            events.push(event);
        }
        events
    }

    #[tokio::test]
    async fn pieces_of_a_message_are_merged_in_order() {
        let (outlet, inbox) = inbox();
        for event in [delta("a"), delta("b"), message(), delta("c"), end()] {
            outlet.push(event);
        }
        drop(outlet);
        let texts: Vec<_> = all(inbox).await.iter().map(|event| format!("{event:?}")).collect();
        assert_eq!(texts.len(), 4, "{texts:?}");
        assert!(texts[0].contains(r#""ab""#) && texts[2].contains(r#""c""#), "{texts:?}");
    }

    #[tokio::test]
    async fn an_unread_inbox_stays_bounded_and_keeps_what_matters() {
        let (outlet, inbox) = inbox();
        for _ in 0..3 * LIMIT {
            outlet.push(delta(&"x".repeat(DELTA_BYTES / 4)));
            outlet.push(event(EventKind::Plan(vec![])));
        }
        outlet.push(message());
        outlet.push(end());
        drop(outlet);
        let events = all(inbox).await;
        assert_eq!(events.len(), LIMIT + 2);
        assert!(matches!(
            events.last(),
            Some(ThreadEvent::Event { kind: EventKind::Ended(_), .. })
        ));
    }

    #[tokio::test]
    async fn a_dropped_inbox_takes_nothing() {
        let (outlet, inbox) = inbox();
        drop(inbox);
        outlet.push(end());
        assert!(outlet.0.lock().events.is_empty());
    }
}
