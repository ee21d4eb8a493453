//! Sessions in memory: gone with the server, as in the ancestor. One server only, so every lease is
//! ours.

use std::{
    cmp::Reverse,
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use jiff::Timestamp;

use super::{
    Claim, Created, Cursor, Errand, ErrandId, ErrandOutcome, Excerpt, Inbox, Listing, Page,
    SessionStore, StoreError, Ticket, Turns,
};
use crate::session::{
    SessionName,
    record::{SessionRecord, SessionStatus, ThreadId, TurnRecord},
};

/// A store that lives as long as the process.
#[derive(Debug, Default)]
pub struct MemoryStore {
    entries: Mutex<Entries>,
    queue: Mutex<Queue>,
}

/// Places in queues. Nobody runs errands for anybody else here.
#[derive(Debug, Default)]
struct Queue {
    last: i64,
    tickets: Vec<(Ticket, SessionName)>,
}

type Entries = HashMap<SessionName, Entry>;

#[derive(Debug)]
struct Entry {
    record: SessionRecord,
    turns: Vec<TurnRecord>,
}

impl MemoryStore {
    /// The lock is never held across an await and nothing under it can panic.
    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl SessionStore for MemoryStore {
    async fn claim(
        &self,
        name: &SessionName,
        ticket: Option<Ticket>,
        _until: Timestamp,
        now: Timestamp,
    ) -> Result<Claim, StoreError> {
        let Some(record) = self.load(name, now).await? else { return Ok(Claim::Missing) };
        if let Some(ticket) = ticket {
            self.dequeue(ticket).await?;
        }
        Ok(Claim::Ours(Box::new(record)))
    }

    async fn renew(&self, _name: &SessionName, _until: Timestamp) -> Result<(), StoreError> {
        Ok(())
    }

    async fn enqueue(
        &self,
        name: &SessionName,
        limit: usize,
        _until: Timestamp,
        _now: Timestamp,
    ) -> Result<Option<Ticket>, StoreError> {
        let mut queue = self.queue();
        if queue.tickets.iter().filter(|(_, session)| session == name).count() >= limit {
            return Ok(None);
        }
        queue.last += 1;
        let ticket = Ticket(queue.last);
        queue.tickets.push((ticket, name.clone()));
        Ok(Some(ticket))
    }

    async fn dequeue(&self, ticket: Ticket) -> Result<(), StoreError> {
        self.queue().tickets.retain(|(known, _)| *known != ticket);
        Ok(())
    }

    async fn inbox(
        &self,
        _name: &SessionName,
        _after: ErrandId,
        _now: Timestamp,
    ) -> Result<Inbox, StoreError> {
        Ok(Inbox::default())
    }

    async fn post(
        &self,
        _name: &SessionName,
        _errand: &Errand,
        _now: Timestamp,
    ) -> Result<ErrandId, StoreError> {
        Ok(ErrandId::default())
    }

    async fn report(&self, _id: ErrandId, _outcome: &ErrandOutcome) -> Result<(), StoreError> {
        Ok(())
    }

    async fn outcome(&self, _id: ErrandId) -> Result<Option<ErrandOutcome>, StoreError> {
        Ok(None)
    }

    async fn release(&self, _name: &SessionName) -> Result<(), StoreError> {
        Ok(())
    }

    async fn create(
        &self,
        record: &SessionRecord,
        cap: usize,
        now: Timestamp,
    ) -> Result<Created, StoreError> {
        let mut entries = self.lock();
        remove_expired(&mut entries, now);
        if entries.contains_key(&record.name) {
            return Ok(Created::Conflict);
        }
        let mut evicted = Vec::new();
        while entries.len() >= cap {
            let Some(name) = least_worth(&entries) else { return Ok(Created::Full) };
            entries.remove(&name);
            evicted.push(name);
        }
        let entry = Entry { record: record.clone(), turns: Vec::new() };
        entries.insert(record.name.clone(), entry);
        Ok(Created::Done { evicted })
    }

    async fn commit(&self, record: &SessionRecord, turns: Turns<'_>) -> Result<(), StoreError> {
        let mut entries = self.lock();
        let entry = entries.get_mut(&record.name);
        let Some(entry) = entry.filter(|entry| entry.record.revision == record.revision) else {
            return Err(StoreError::Stale { name: record.name.clone() });
        };
        entry.record = SessionRecord { revision: record.revision + 1, ..record.clone() };
        match turns {
            Turns::Keep => {}
            Turns::Clear => entry.turns.clear(),
            Turns::Copy { from, through } => {
                let copied = entries.get(from).map(|other| {
                    other.turns.iter().filter(|turn| turn.number <= through).cloned().collect()
                });
                if let (Some(turns), Some(entry)) = (copied, entries.get_mut(&record.name)) {
                    entry.turns = turns;
                }
            }
            Turns::Put(turn) => {
                let known = entry.turns.iter_mut().find(|known| known.number == turn.number);
                match known {
                    Some(known) => known.clone_from(turn),
                    None => entry.turns.push(turn.clone()),
                }
            }
        }
        Ok(())
    }

    async fn load(
        &self,
        name: &SessionName,
        now: Timestamp,
    ) -> Result<Option<SessionRecord>, StoreError> {
        let entries = self.lock();
        let record = entries.get(name).map(|entry| &entry.record);
        Ok(record.filter(|record| !is_over(record, now)).cloned())
    }

    async fn of_thread(
        &self,
        thread: &ThreadId,
        now: Timestamp,
    ) -> Result<Option<SessionName>, StoreError> {
        let entries = self.lock();
        let alive = entries.values().map(|entry| &entry.record).filter(|r| !is_over(r, now));
        let having = alive.filter(|record| record.thread_id.as_ref() == Some(thread));
        let newest = having.max_by_key(|record| record.last_accessed_at);
        Ok(newest.map(|record| record.name.clone()))
    }

    async fn list(&self, page: &Page, now: Timestamp) -> Result<Listing, StoreError> {
        let entries = self.lock();
        let place = |record: &SessionRecord| {
            (Reverse(record.last_accessed_at.as_millisecond()), record.name.clone())
        };
        let start =
            page.after.as_ref().map(|cursor| (Reverse(cursor.accessed_ms), cursor.name.clone()));
        let mut sessions: Vec<_> = entries
            .values()
            .filter(|entry| page.search.as_ref().is_none_or(|text| entry.mentions(text)))
            .map(|entry| &entry.record)
            .filter(|record| !is_over(record, now))
            .filter(|record| start.as_ref().is_none_or(|start| place(record) > *start))
            .cloned()
            .collect();
        sessions.sort_by_key(place);
        let limit = page.limit as usize;
        let more = sessions.len() > limit;
        sessions.truncate(limit);
        let next = sessions.last().filter(|_| more).map(Cursor::at);
        Ok(Listing { sessions, next, damaged: Vec::new() })
    }

    async fn turns(
        &self,
        name: &SessionName,
        skip: u32,
        limit: u32,
        excerpt: Excerpt,
    ) -> Result<Vec<TurnRecord>, StoreError> {
        let Excerpt { offset, length } = excerpt;
        let entries = self.lock();
        let turns = entries.get(name).map(|entry| entry.turns.as_slice()).unwrap_or_default();
        let turns = turns.iter().skip(skip as usize).take(limit as usize).cloned();
        Ok(turns
            .map(|turn| TurnRecord {
                prompt: turn.prompt.chars().take(length).collect(),
                response: turn.response.chars().skip(offset).take(length).collect(),
                ..turn
            })
            .collect())
    }

    async fn delete(&self, name: &SessionName) -> Result<bool, StoreError> {
        Ok(self.lock().remove(name).is_some())
    }

    async fn sweep(&self, now: Timestamp) -> Result<Vec<SessionName>, StoreError> {
        Ok(remove_expired(&mut self.lock(), now))
    }
}

impl Entry {
    fn mentions(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        let has = |hay: &str| hay.to_lowercase().contains(&text);
        has(self.record.name.as_str()) || self.turns.iter().any(|turn| has(&turn.prompt))
    }
}

/// A session whose turn runs does not expire under it.
fn is_over(record: &SessionRecord, now: Timestamp) -> bool {
    record.is_expired(now) && record.status != SessionStatus::Running
}

fn remove_expired(entries: &mut Entries, now: Timestamp) -> Vec<SessionName> {
    entries.extract_if(|_, entry| is_over(&entry.record, now)).map(|(name, _)| name).collect()
}

fn least_worth(entries: &Entries) -> Option<SessionName> {
    let idle = entries.values().filter(|entry| entry.record.status != SessionStatus::Running);
    let worth = |entry: &&Entry| (!entry.record.automatic, entry.record.last_accessed_at);
    idle.min_by_key(worth).map(|entry| entry.record.name.clone())
}
