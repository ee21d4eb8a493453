//! Turns that Codex begins on a thread by itself: of its own queue, or because an agent has woken it. None of ours is begun
//! while one runs, because Codex would put both into one turn.

use std::{
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering},
    task::{Context, Poll},
    time::Duration,
};

use tokio::sync::{mpsc, oneshot};

use super::AppThread;
use crate::codex::{
    app_server::{
        connection::{self, Connection},
        queries,
    },
    ids::{ThreadId, TurnId},
    protocol::{Empty, ThreadParams},
    turn::{Begun, Driver, Turn},
};

/// How long Codex may take to begin with what waits in its queue: it takes some 15 ms (0.171). After a turn that was interrupted
/// it does not begin until another one has ended.
const BEGINS: Duration = Duration::from_secs(1);

/// How long it may take if nothing says that it is about to.
const NOTICES: Duration = Duration::from_millis(200);

/// Hears of such turns, from before its thread is open.
#[derive(Debug)]
pub(super) struct Unasked {
    heard: Mutex<Heard>,
    /// Where nothing is heard any more unless the thread is opened.
    watching: Option<(Arc<Connection>, ThreadId)>,
}

#[derive(Debug)]
struct Heard {
    turns: mpsc::Receiver<connection::Unasked>,
    next: Option<connection::Unasked>,
    /// How many messages waited when the thread was resumed, until that was looked at. None of a new one.
    queued: Option<usize>,
    /// How many wait by now, as was asked ahead.
    asked: Option<oneshot::Receiver<usize>>,
}

impl Unasked {
    /// Begins to listen on a thread that is about to be resumed and for which so many messages wait, or on a new one.
    pub(super) fn of(
        connection: &Arc<Connection>,
        thread: &ThreadId,
        queued: Option<usize>,
    ) -> Self {
        let heard = Heard { turns: connection.watch(thread), next: None, queued, asked: None };
        let watching = Some((Arc::clone(connection), thread.clone()));
        Self { heard: Mutex::new(heard), watching }
    }

    /// The same for a thread that is open: its end ends it.
    pub(super) fn kept(mut self) -> Self {
        self.watching = None;
        self
    }

    /// Whether there is such a turn.
    fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut heard = self.heard();
        if heard.next.is_some() {
            return Poll::Ready(());
        }
        match heard.turns.poll_recv(cx) {
            Poll::Ready(Some(turn)) => {
                heard.next = Some(turn);
                Poll::Ready(())
            }
            // Codex has died, which is seen elsewhere.
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }

    /// The lock is never held across an await and nothing under it can panic.
    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Unasked {
    fn drop(&mut self) {
        if let Some((connection, thread)) = self.watching.take() {
            connection.unwatch(&thread);
        }
    }
}

impl AppThread {
    /// Whether Codex runs a turn that it has begun by itself and that is not followed yet.
    pub(crate) fn has_unasked(&self) -> bool {
        let heard = self.unasked.heard();
        heard.next.is_some() || !heard.turns.is_empty()
    }

    /// Whether Codex has begun a turn by itself since the thread was opened, or begins one now because messages wait.
    pub(crate) async fn begins_by_itself(&self) -> bool {
        let queued = self.unasked.heard().queued.take();
        match queued {
            None => self.has_unasked(),
            // One that has come between the question and the resume.
            Some(0) => self.goes_on_by_itself(false).await,
            Some(_) => self.begins_within(BEGINS).await,
        }
    }

    /// The same, if messages may have come to wait in the meantime. If it `is_to`, Codex is told to begin with those that it has
    /// not noticed: it looks for what other programs have queued every ten seconds.
    pub(crate) async fn goes_on_by_itself(&self, is_to: bool) -> bool {
        let queued = queries::queued(&self.connection, &self.id).await.unwrap_or_default();
        self.goes_on_with(queued, is_to).await
    }

    /// Asks how many messages wait, while its caller does something else before [`AppThread::goes_on_as_asked`].
    pub(crate) fn ask_ahead(&self) {
        let (connection, thread) = (Arc::clone(&self.connection), self.id.clone());
        let (told, asked) = oneshot::channel();
        self.unasked.heard().asked = Some(asked);
        self.connection.spawn(async move {
            let queued = queries::queued(&connection, &thread).await.unwrap_or_default();
            // Fails if the turn has come to nothing.
            let _ = told.send(queued);
        });
    }

    /// [`AppThread::goes_on_by_itself`] with what was asked ahead.
    pub(crate) async fn goes_on_as_asked(&self, is_to: bool) -> bool {
        let asked = self.unasked.heard().asked.take();
        match asked {
            Some(asked) => self.goes_on_with(asked.await.unwrap_or_default(), is_to).await,
            None => self.goes_on_by_itself(is_to).await,
        }
    }

    async fn goes_on_with(&self, queued: usize, is_to: bool) -> bool {
        if self.has_unasked() {
            return true;
        }
        let changed = self.connection.queue_changed(&self.id);
        // Between its queue and its turn a message is in neither.
        let is_moving = changed.is_some_and(|at| at.elapsed() < BEGINS);
        if queued == 0 && !is_moving {
            return self.has_unasked();
        }
        if self.begins_within(if is_moving { BEGINS } else { NOTICES }).await {
            return true;
        }
        let params = ThreadParams { thread_id: &self.id.0 };
        queued > 0
            && is_to
            && self.connection.call::<Empty>("thread/queue/start", params).await.is_ok()
            && self.begins_within(BEGINS).await
    }

    async fn begins_within(&self, limit: Duration) -> bool {
        tokio::time::timeout(limit, poll_fn(|cx| self.unasked.poll(cx))).await.is_ok()
    }

    /// Forgets such a turn, because it has become the one that was asked for.
    pub(super) fn forget_unasked(&self, turn: &TurnId) {
        let mut heard = self.unasked.heard();
        if heard.next.is_none() {
            heard.next = heard.turns.try_recv().ok();
        }
        heard.next.take_if(|(id, _)| id == turn);
    }

    /// Waits for a turn that Codex begins by itself. Dropping the future loses nothing.
    pub(crate) async fn unasked(&self) -> Turn {
        let (id, events) = loop {
            poll_fn(|cx| self.unasked.poll(cx)).await;
            let next = self.unasked.heard().next.take();
            if let Some(next) = next {
                break next;
            }
        };
        self.recorded.store(true, Ordering::Relaxed);
        Turn::new(Begun {
            id,
            thread: self.id.clone(),
            events,
            driver: Arc::clone(&self.connection) as Arc<dyn Driver>,
            effective: self.in_force().clone(),
            caveats: Vec::new(),
            trust: self.trust.clone(),
            asked: None,
        })
    }
}
