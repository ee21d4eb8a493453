//! Changes that other servers of the same store make to its sessions: heard of at once by a hint, and polled for from time
//! to time, since a hint can be lost.

use std::{collections::HashMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    time::{MissedTickBehavior, interval},
};

use crate::session::{
    SessionName, SessionRecord,
    shared::Shared,
    store::{Change, Hint, Page, Store},
    turn::Message,
};

/// The pause between two polls.
const POLL: Duration = Duration::from_secs(2);

/// How many sessions a poll compares: those last used.
const COMPARED: u32 = 100;

/// The pause before a store that cannot be opened is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// For how long before the first poll nothing may have been heard, because the connection for it was being made.
const DEAF: Duration = Duration::from_secs(5);

/// Passes on what other servers do, and tells them what is done here.
pub(in crate::session) async fn follow_changes(shared: Arc<Shared>) {
    let closing = shared.closing.clone();
    closing.run_until_cancelled(follow(&shared)).await;
}

async fn follow(shared: &Shared) {
    let mut own = shared.own_changes();
    let mut known = KnownRevisions::default();
    let mut tick = interval(POLL);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let Ok(store) = shared.store(Timestamp::now()).await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        if !store.has_other_machines() {
            // What another process of this machine does is found when it is asked for.
            return;
        }
        tokio::select! {
            hint = store.hint() => match hint {
                Hint::Inbox(session) => drop(shared.tell(&session, Message::CheckInbox)),
                Hint::Changed(change) => {
                    known.expect(&change);
                    shared.changed_remotely(change);
                }
                Hint::Forwarded(_) => {}
            },
            change = next(&mut own) => {
                known.expect(&change);
                if let Err(error) = store.tell(&change).await {
                    tracing::debug!(error = &error as &dyn std::error::Error, "the others are not told");
                }
            }
            _ = tick.tick() => {
                if shared.is_listened_to() {
                    for change in known.poll(&*store).await {
                        shared.changed_remotely(change);
                    }
                } else {
                    known = KnownRevisions::default();
                }
            }
        }
    }
}

/// The next change made here. A poll finds what was missed.
async fn next(own: &mut Receiver<Change>) -> Change {
    loop {
        match own.recv().await {
            Ok(change) => return change,
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

/// The sessions as they were at the last poll.
#[derive(Debug, Default)]
struct KnownRevisions {
    /// The revisions of those last used. `None` before the first poll.
    seen: Option<HashMap<SessionName, i64>>,
    /// The changes since then that everybody knows of already.
    expected: Vec<Change>,
}

impl KnownRevisions {
    fn expect(&mut self, change: &Change) {
        if !self.expected.contains(change) {
            self.expected.push(change.clone());
        }
    }

    /// The changes since the last poll that nobody has been told of. None if the store cannot be read: the next poll
    /// finds them.
    async fn poll(&mut self, store: &dyn Store) -> Vec<Change> {
        let now = Timestamp::now();
        let sessions = match store.list(&Page::first(COMPARED), now).await {
            Ok(listing) => listing.sessions,
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::debug!(error, "cannot poll for changes");
                return Vec::new();
            }
        };
        let expected = std::mem::take(&mut self.expected);
        let changes = self.compare(sessions, now).into_iter();
        changes.filter(|change| !expected.contains(change)).collect()
    }

    fn compare(&mut self, sessions: Vec<SessionRecord>, now: Timestamp) -> Vec<Change> {
        let is_recent = |at: Timestamp| now.duration_since(at).unsigned_abs() < DEAF;
        let recent = sessions.iter().filter(|record| is_recent(record.last_accessed_at));
        let recent: Vec<_> = recent.map(|record| Change::Session(record.name.clone())).collect();
        let revisions: HashMap<SessionName, i64> =
            sessions.into_iter().map(|record| (record.name, record.revision)).collect();
        let before = self.seen.replace(revisions.clone());
        let (is_other_list, changed) = match before {
            None => (!recent.is_empty(), recent),
            Some(before) => {
                let is_other_list = revisions.len() != before.len()
                    || revisions.keys().any(|name| !before.contains_key(name));
                let is_changed = |(name, revision): &(SessionName, i64)| {
                    before.get(name).is_some_and(|before| before != revision)
                };
                let changed = revisions.into_iter().filter(is_changed);
                (is_other_list, changed.map(|(name, _)| Change::Session(name)).collect())
            }
        };
        is_other_list.then_some(Change::List).into_iter().chain(changed).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_hint_told_of_is_found() {
        let now = Timestamp::now();
        let session = |name: &str, revision| {
            let created = now - 2 * DEAF;
            let new = SessionRecord::new(name.parse().unwrap(), false, created, DEAF);
            SessionRecord { revision, ..new }
        };
        let changed = |name: &str| Change::Session(name.parse().unwrap());
        let mut known = KnownRevisions::default();
        let begun = SessionRecord { last_accessed_at: now, ..session("b", 1) };
        let first = known.compare(vec![session("a", 1), begun], now);
        assert_eq!(first, [Change::List, changed("b")], "it may have been missed");
        let mut compare = |sessions| known.compare(sessions, now);
        assert_eq!(compare(vec![session("a", 1), session("b", 1)]), []);
        assert_eq!(compare(vec![session("a", 2), session("b", 1)]), [changed("a")]);
        assert_eq!(compare(vec![session("b", 1)]), [Change::List]);
        assert_eq!(compare(vec![session("c", 1)]), [Change::List]);
    }
}
