//! Which turn receives what Codex reports about a thread, and which threads hear of turns that Codex begins by itself.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use tokio::sync::mpsc;

use crate::codex::{
    ids::{ThreadId, TurnId},
    protocol::EventKind,
    turn::{Inbox, Outlet, ThreadEvent, inbox},
};

/// How many turns that Codex began by itself wait to be followed. Each begins after the end of the one before.
const UNASKED: usize = 32;

/// A turn that Codex has begun by itself, and what happens in it.
pub(in crate::codex::app_server) type Unasked = (TurnId, Inbox);

/// The turns that listen, by thread. One per thread: Codex runs one turn at a time on each.
#[derive(Debug, Default)]
pub(super) struct Routes(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    turns: HashMap<ThreadId, Route>,
    /// Those who hear of turns that were not asked for here.
    threads: HashMap<ThreadId, Watcher>,
}

#[derive(Debug)]
struct Watcher {
    turns: mpsc::Sender<Unasked>,
    /// When the thread's own queue has changed, until a turn begins.
    changed: Option<Instant>,
}

#[derive(Debug)]
struct Route {
    outlet: Outlet,
    /// How far its turn is known to be.
    turn: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Stage {
    Asked,
    Begun,
    Over,
}

impl Route {
    fn new(turn: Stage) -> (Self, Inbox) {
        let (outlet, inbox) = inbox();
        (Self { outlet, turn }, inbox)
    }
}

impl Routes {
    /// Begins to listen to a thread for a turn that is about to be asked for, in place of an earlier listener.
    pub(super) fn listen(&self, thread: &ThreadId) -> Inbox {
        let (route, inbox) = Route::new(Stage::Asked);
        self.lock().turns.insert(thread.clone(), route);
        inbox
    }

    /// Begins to listen for turns that Codex begins on a thread by itself.
    pub(super) fn watch(&self, thread: &ThreadId) -> mpsc::Receiver<Unasked> {
        let (turns, unasked) = mpsc::channel(UNASKED);
        self.lock().threads.insert(thread.clone(), Watcher { turns, changed: None });
        unasked
    }

    /// When the thread's own queue has changed, if no turn has begun since.
    pub(super) fn queue_changed(&self, thread: &ThreadId) -> Option<Instant> {
        self.lock().threads.get(thread)?.changed
    }

    /// Stops listening to a thread.
    pub(super) fn forget(&self, thread: &ThreadId) {
        let mut table = self.lock();
        table.turns.remove(thread);
        table.threads.remove(thread);
    }

    /// Passes an event to the thread's listener. Returns it if there is none.
    pub(super) fn push(&self, thread: &ThreadId, event: ThreadEvent) -> Option<ThreadEvent> {
        let mut table = self.lock();
        let Table { turns, threads } = &mut *table;
        if let ThreadEvent::Event { kind, .. } = &event
            && let Some(watcher) = threads.get_mut(thread)
        {
            match kind {
                EventKind::QueueChanged => watcher.changed = Some(Instant::now()),
                EventKind::Started => watcher.changed = None,
                _ => {}
            }
        }
        let route = turns.get_mut(thread).filter(|route| route.outlet.is_read());
        let (id, kind) = match &event {
            ThreadEvent::Event { turn_id, kind } => (turn_id.as_ref(), Some(kind)),
            _ => (None, None),
        };
        match (route, kind, id) {
            (Some(route), Some(EventKind::Started), _) if route.turn == Stage::Asked => {
                route.turn = Stage::Begun;
                None
            }
            (_, Some(EventKind::Started), Some(id)) => {
                let Some(watcher) = threads.get(thread) else { return Some(event) };
                let (route, inbox) = Route::new(Stage::Begun);
                match watcher.turns.try_send((TurnId(id.clone()), inbox)) {
                    Ok(()) => drop(turns.insert(thread.clone(), route)),
                    Err(_) => {
                        tracing::warn!(%thread, "nothing here follows a turn that Codex began");
                    }
                }
                None
            }
            (Some(route), kind, _) => {
                if let (Some(EventKind::Ended(_)), Stage::Begun) = (kind, route.turn) {
                    route.turn = Stage::Over;
                }
                route.outlet.push(event);
                None
            }
            (None, ..) => Some(event),
        }
    }

    /// Whether a turn listens to a thread, or has until it was given up.
    pub(super) fn knows(&self, thread: &ThreadId) -> bool {
        self.lock().turns.contains_key(thread)
    }

    /// Warns every turn that runs.
    pub(super) fn warn(&self, message: &str) {
        for route in self.lock().turns.values() {
            let kind = EventKind::Warning(message.to_owned());
            route.outlet.push(ThreadEvent::Event { turn_id: None, kind });
        }
    }

    /// Ends every listener's stream.
    pub(super) fn close(&self) {
        *self.lock() = Table::default();
    }

    /// The lock is never held across an await and nothing under it can panic.
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codex::protocol::TurnEnd;

    fn event(id: &str, kind: EventKind) -> ThreadEvent {
        ThreadEvent::Event { turn_id: Some(id.into()), kind }
    }

    fn end(id: &str) -> ThreadEvent {
        let (status, items) = ("completed".to_owned(), Vec::new());
        event(id, EventKind::Ended(TurnEnd { id: id.into(), status, error: None, items }))
    }

    async fn ids(mut inbox: Inbox) -> Vec<String> {
        let mut ids = Vec::new();
        while let Some(ThreadEvent::Event { turn_id, .. }) = inbox.next().await {
            ids.extend(turn_id);
        }
        ids
    }

    #[tokio::test]
    async fn a_turn_that_was_not_asked_for_is_heard_by_itself_although_the_last_one_is_still_read()
    {
        let (routes, thread) = (Routes::default(), ThreadId("t".into()));
        let mut unasked = routes.watch(&thread);
        let asked = routes.listen(&thread);
        let began = |id: &str| event(id, EventKind::Started);
        for event in [began("1"), end("1"), began("2"), end("2"), began("3")] {
            assert!(routes.push(&thread, event).is_none());
        }
        let (second, inbox) = unasked.recv().await.unwrap();
        assert_eq!((second.0.as_str(), unasked.recv().await.unwrap().0.0.as_str()), ("2", "3"));
        routes.close();
        assert_eq!(
            (ids(asked).await, ids(inbox).await),
            (vec!["1".to_owned()], vec!["2".to_owned()])
        );
        // One whose thread is not open here is not ours.
        assert!(routes.push(&thread, began("4")).is_some());
    }
}
