//! Whose the MCP sessions of older-era clients are, how many each principal has, and when they end: some time after their
//! last call, never while one is in flight.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::limits::Owner;

/// All MCP sessions. `E` is where a session is kept.
#[derive(Debug)]
pub(super) struct McpSessions<E> {
    limit: usize,
    all: Mutex<State<E>>,
}

#[derive(Debug)]
struct State<E> {
    sessions: HashMap<String, Entry<E>>,
    /// Sessions and those that are about to be made, by owner.
    counts: HashMap<Owner, usize>,
}

#[derive(Debug)]
struct Entry<E> {
    owner: Owner,
    home: E,
    calls: usize,
    last_call: Instant,
    /// Whether it was called since somebody asked.
    is_news: bool,
}

/// Reservation for a session that is about to be made; given back if it is not.
#[derive(Debug)]
pub(super) struct Reservation<E: Clone> {
    sessions: Arc<McpSessions<E>>,
    owner: Option<Owner>,
}

/// A call in an MCP session, until it is dropped.
#[derive(Debug)]
pub(super) struct SessionCall<E: Clone> {
    sessions: Arc<McpSessions<E>>,
    id: String,
}

impl<E: Clone> McpSessions<E> {
    /// At most `limit` for each owner.
    pub(super) fn new(limit: usize) -> Arc<Self> {
        let all = State { sessions: HashMap::new(), counts: HashMap::new() };
        Arc::new(Self { limit, all: Mutex::new(all) })
    }

    /// Makes room for another session. `None` if its owner has too many.
    pub(super) fn reserve(self: &Arc<Self>, owner: &Owner) -> Option<Reservation<E>> {
        let mut all = self.lock();
        let count = all.counts.entry(owner.clone()).or_default();
        if *count >= self.limit {
            return None;
        }
        *count += 1;
        Some(Reservation { sessions: Arc::clone(self), owner: Some(owner.clone()) })
    }

    /// Begins a call in a session. `None` if the owner has none of this id.
    pub(super) fn begin(self: &Arc<Self>, id: &str, owner: &Owner) -> Option<SessionCall<E>> {
        let mut all = self.lock();
        let entry = all.sessions.get_mut(id).filter(|entry| entry.owner == *owner)?;
        entry.calls += 1;
        Some(SessionCall { sessions: Arc::clone(self), id: id.to_owned() })
    }

    /// Where a session is, whoever's it is.
    pub(super) fn home(&self, id: &str) -> Option<E> {
        self.lock().sessions.get(id).map(|entry| entry.home.clone())
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.lock().sessions.len()
    }

    /// Forgets a session that is gone.
    pub(super) fn remove(&self, id: &str) {
        let mut all = self.lock();
        if let Some(entry) = all.sessions.remove(id) {
            all.give_back(&entry.owner);
        }
    }

    /// The sessions that are being called, or were since this was last asked.
    pub(super) fn called_lately(&self) -> Vec<String> {
        let mut all = self.lock();
        let called = all.sessions.iter_mut().filter_map(|(id, entry)| {
            let is_called = entry.calls > 0 || std::mem::take(&mut entry.is_news);
            is_called.then(|| id.clone())
        });
        called.collect()
    }

    /// Removes the sessions that were not called for this long, and says where they were.
    pub(super) fn take_idle(&self, limit: Duration) -> Vec<(String, E)> {
        let mut all = self.lock();
        let is_idle = |entry: &Entry<E>| entry.calls == 0 && entry.last_call.elapsed() >= limit;
        let idle: Vec<_> = all.sessions.extract_if(|_, entry| is_idle(entry)).collect();
        for (_, entry) in &idle {
            all.give_back(&entry.owner);
        }
        idle.into_iter().map(|(id, entry)| (id, entry.home)).collect()
    }

    /// The lock is never held across an await and nothing under it can panic.
    fn lock(&self) -> MutexGuard<'_, State<E>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<E> State<E> {
    fn give_back(&mut self, owner: &Owner) {
        if let Some(count) = self.counts.get_mut(owner) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(owner);
            }
        }
    }
}

impl<E: Clone> Reservation<E> {
    /// The session was made.
    pub(super) fn complete(mut self, id: &str, home: E) {
        let Some(owner) = self.owner.take() else { return };
        let entry = Entry { owner, home, calls: 0, last_call: Instant::now(), is_news: false };
        let mut all = self.sessions.lock();
        // It may be known by now.
        if all.sessions.contains_key(id) {
            all.give_back(&entry.owner);
        } else {
            all.sessions.insert(id.to_owned(), entry);
        }
    }
}

impl<E: Clone> Drop for Reservation<E> {
    fn drop(&mut self) {
        if let Some(owner) = self.owner.take() {
            self.sessions.lock().give_back(&owner);
        }
    }
}

impl<E: Clone> Drop for SessionCall<E> {
    fn drop(&mut self) {
        if let Some(entry) = self.sessions.lock().sessions.get_mut(&self.id) {
            entry.calls -= 1;
            entry.last_call = Instant::now();
            entry.is_news = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_session_is_its_owners_and_ends_after_its_last_call() {
        let idle = Duration::from_mins(1);
        let sessions = McpSessions::new(2);
        let (a, b) = ((None, "a".to_owned()), (None, "b".to_owned()));
        sessions.reserve(&a).unwrap().complete("1", ());
        let second = sessions.reserve(&a).unwrap();
        assert!(sessions.reserve(&a).is_none());
        assert!(sessions.reserve(&b).is_some());
        drop(second);
        assert!(sessions.begin("1", &b).is_none() && sessions.begin("2", &a).is_none());
        let call = sessions.begin("1", &a).unwrap();
        tokio::time::advance(10 * idle).await;
        assert!(sessions.take_idle(idle).is_empty(), "a call is in flight");
        drop(call);
        assert!(sessions.take_idle(idle).is_empty(), "it has just ended");
        tokio::time::advance(idle).await;
        assert_eq!(sessions.take_idle(idle), [("1".to_owned(), ())]);
        assert!(sessions.lock().counts.is_empty());
    }
}
