//! Which turn receives what Codex reports about a thread.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::codex::{
    ids::ThreadId,
    protocol::EventKind,
    turn::{Inbox, Outlet, ThreadEvent, inbox},
};

/// The turns that listen, by thread. One per thread: Codex runs one turn at a time on each.
#[derive(Debug, Default)]
pub(super) struct Routes(Mutex<HashMap<ThreadId, Outlet>>);

impl Routes {
    /// Begins to listen to a thread, in place of an earlier listener.
    pub(super) fn listen(&self, thread: &ThreadId) -> Inbox {
        let (outlet, inbox) = inbox();
        self.lock().insert(thread.clone(), outlet);
        inbox
    }

    /// Stops listening to a thread.
    pub(super) fn forget(&self, thread: &ThreadId) {
        self.lock().remove(thread);
    }

    /// Passes an event to the thread's listener. Returns it if there is none.
    pub(super) fn push(&self, thread: &ThreadId, event: ThreadEvent) -> Option<ThreadEvent> {
        match self.lock().get(thread) {
            Some(listener) if listener.is_read() => {
                listener.push(event);
                None
            }
            _ => Some(event),
        }
    }

    /// Whether a turn listens to a thread, or has until it was given up.
    pub(super) fn knows(&self, thread: &ThreadId) -> bool {
        self.lock().contains_key(thread)
    }

    /// Warns every turn that runs.
    pub(super) fn warn(&self, message: &str) {
        for listener in self.lock().values() {
            let kind = EventKind::Warning(message.to_owned());
            listener.push(ThreadEvent::Event { turn_id: None, kind });
        }
    }

    /// Ends every listener's stream.
    pub(super) fn close(&self) {
        self.lock().clear();
    }

    /// The lock is never held across an await and nothing under it can panic.
    fn lock(&self) -> MutexGuard<'_, HashMap<ThreadId, Outlet>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
