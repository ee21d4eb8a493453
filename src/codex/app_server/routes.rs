//! Which turn hears what Codex tells about a thread.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use crate::codex::{
    approval::{Answer, Asked},
    protocol::EventKind,
    turn::ThreadId,
};

/// How much a turn may lag behind before Codex has to wait for it.
const QUEUE: usize = 256;

/// What a turn is told.
#[derive(Debug)]
pub(crate) enum Told {
    Event { turn_id: Option<String>, kind: EventKind },
    Asked(Unanswered),
}

/// A question that Codex waits for. Dropping it is an answer too: no.
#[derive(Debug)]
pub(crate) struct Unanswered {
    pub(crate) asked: Asked,
    reply: oneshot::Sender<Value>,
}

impl Unanswered {
    /// Returns also where its answer will come out, in Codex's own form.
    pub(super) fn new(asked: Asked) -> (Self, oneshot::Receiver<Value>) {
        let (reply, answer) = oneshot::channel();
        (Self { asked, reply }, answer)
    }

    pub(crate) fn answer(self, answer: &Answer) {
        // A Codex that is gone needs no answer.
        let _ = self.reply.send(self.asked.answer(answer));
    }
}

/// The turns that listen, by thread. One per thread: Codex runs one turn at a time on each.
#[derive(Debug, Default)]
pub(super) struct Routes(Mutex<HashMap<ThreadId, mpsc::Sender<Told>>>);

impl Routes {
    /// Begins to listen to a thread, in place of whoever did before.
    pub(super) fn listen(&self, thread: &ThreadId) -> mpsc::Receiver<Told> {
        let (sender, receiver) = mpsc::channel(QUEUE);
        self.lock().insert(thread.clone(), sender);
        receiver
    }

    /// Stops to listen.
    pub(super) fn forget(&self, thread: &ThreadId) {
        self.lock().remove(thread);
    }

    /// Tells whoever listens. Waits while they lag far behind; tells nobody if nobody listens.
    pub(super) async fn tell(&self, thread: &str, told: Told) {
        let listener = self.lock().get(&ThreadId(thread.to_owned())).cloned();
        if let Some(listener) = listener {
            // A turn that stopped listening has been interrupted.
            let _ = listener.send(told).await;
        }
    }

    /// Lets everybody know that nothing will come any more.
    pub(super) fn close(&self) {
        self.lock().clear();
    }

    /// The lock is never held across an await and nothing under it can panic.
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<ThreadId, mpsc::Sender<Told>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
