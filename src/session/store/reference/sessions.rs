//! What is kept, in memory.

use std::cmp::Reverse;

use async_trait::async_trait;
use jiff::{Timestamp, civil::Date};

use super::{
    ReferenceStore,
    state::{Entry, Holder, State},
};
use crate::session::{
    SessionName,
    record::{
        HandshakeRecord, KeptRollout, RolloutRecord, SessionRecord, SessionStatus, ThreadId,
        TokenRecord, TurnRecord,
    },
    store::{
        CopiedTurns, Created, Cursor, DailyUsage, Excerpt, Lease, Listing, Page, Renamed,
        SessionStore, StoreError, Turns,
    },
};

#[async_trait]
impl SessionStore for ReferenceStore {
    async fn create(
        &self,
        record: &SessionRecord,
        copy: Option<CopiedTurns<'_>>,
        cap: usize,
        now: Timestamp,
    ) -> Result<Created, StoreError> {
        let clock = self.clock.now();
        let mut state = self.lock();
        let there = state.entries.get(&record.name);
        if there.is_some_and(|entry| State::is_live(entry, now, clock)) {
            return Ok(Created::Conflict);
        }
        let busy = |entry: &&Entry| state.holder(entry, clock).is_some_and(|holder| holder.busy);
        if state.entries.values().filter(busy).count() >= cap {
            return Ok(Created::Full);
        }
        state.remove_expired(now, clock);
        let turns = copy.map(|copy| copied(&state, copy)).unwrap_or_default();
        let mut evicted = state.evict(cap, clock);
        if evicted.is_none() {
            // Those who protect the rest may be dead.
            state.free_lapsed(clock);
            evicted = state.evict(cap, clock);
        }
        let Some(evicted) = evicted else { return Ok(Created::Full) };
        let entry = Entry {
            record: record.clone(),
            turns,
            rollouts: Vec::new(),
            holder: None,
            given: 0,
            epoch: 0,
        };
        state.entries.insert(record.name.clone(), entry);
        Ok(Created::Done { evicted })
    }

    async fn commit(
        &self,
        lease: &Lease,
        record: &SessionRecord,
        turns: Turns<'_>,
    ) -> Result<(), StoreError> {
        let clock = self.clock.now();
        let mut state = self.lock();
        let ours = state.queue.iter().filter(|place| place.owner == self.owner);
        let ours = ours.filter(|place| place.session == lease.session);
        let ours: Vec<_> = ours.map(|place| place.number).collect();
        let is_ours = |number: u32| ours.contains(&number);
        let entry = state.held(lease, self.owner, clock)?;
        if entry.record.revision != record.revision {
            return Err(StoreError::Stale { name: record.name.clone() });
        }
        if let Turns::Put(turn) | Turns::Restart(turn) = turns {
            let known = entry.turns.iter().find(|known| known.number == turn.number);
            let known = known.map(|known| known.status);
            let is_ours = |known| known != SessionStatus::Queued || is_ours(turn.number);
            if known.is_some_and(|known| !turn.status.may_follow(known, is_ours(known))) {
                return Err(StoreError::CalledOff { name: record.name.clone() });
            }
        }
        entry.record = SessionRecord { revision: record.revision + 1, ..record.clone() };
        let busy = record.status == SessionStatus::Running;
        entry.holder = entry.holder.map(|holder| Holder { busy, ..holder });
        match turns {
            Turns::Keep => {}
            Turns::Put(turn) => {
                let known = entry.turns.iter_mut().find(|known| known.number == turn.number);
                let was_running =
                    known.as_ref().is_some_and(|known| known.status == SessionStatus::Running);
                match known {
                    Some(known) => known.clone_from(turn),
                    None => entry.turns.push(turn.clone()),
                }
                entry.turns.sort_by_key(|turn| turn.number);
                let place = (lease.session.clone(), turn.number);
                state.queue.retain(|it| (&it.session, it.number) != (&place.0, place.1));
                if was_running && turn.status != SessionStatus::Running {
                    state.count(turn);
                }
            }
            Turns::Restart(turn) => {
                let is_kept = |known: &TurnRecord| {
                    let is_queued = known.status == SessionStatus::Queued;
                    known.number > turn.number || is_queued && known.number < turn.number
                };
                entry.turns.retain(is_kept);
                entry.turns.push(turn.clone());
                entry.turns.sort_by_key(|turn| turn.number);
                let place = (lease.session.clone(), turn.number);
                state.queue.retain(|it| (&it.session, it.number) != (&place.0, place.1));
                state.approvals.retain(|opened| opened.record.session != lease.session);
            }
        }
        Ok(())
    }

    async fn delete(&self, lease: &Lease) -> Result<(), StoreError> {
        let clock = self.clock.now();
        let mut state = self.lock();
        state.held(lease, self.owner, clock)?;
        state.remove(&lease.session);
        Ok(())
    }

    async fn rename(
        &self,
        lease: &Lease,
        record: &SessionRecord,
        now: Timestamp,
    ) -> Result<Renamed, StoreError> {
        let clock = self.clock.now();
        let mut state = self.lock();
        let entry = state.held(lease, self.owner, clock)?;
        if entry.record.revision != record.revision {
            return Err(StoreError::Stale { name: record.name.clone() });
        }
        if state.others_before(&lease.session, None, self.owner, clock) > 0 {
            return Ok(Renamed::Wanted);
        }
        if record.name != lease.session {
            let there = state.entries.get(&record.name);
            if there.is_some_and(|entry| State::is_live(entry, now, clock)) {
                return Ok(Renamed::Taken);
            }
            state.remove(&record.name);
        }
        state.rename(&lease.session, record);
        Ok(Renamed::Done)
    }

    async fn load(
        &self,
        name: &SessionName,
        now: Timestamp,
    ) -> Result<Option<SessionRecord>, StoreError> {
        let clock = self.clock.now();
        let state = self.lock();
        let entry = state.entries.get(name).filter(|entry| State::is_live(entry, now, clock));
        Ok(entry.map(|entry| entry.record.clone()))
    }

    async fn of_thread(
        &self,
        thread: &ThreadId,
        now: Timestamp,
    ) -> Result<Option<SessionName>, StoreError> {
        let clock = self.clock.now();
        let state = self.lock();
        let live = state.entries.values().filter(|entry| State::is_live(entry, now, clock));
        let having = live.filter(|entry| entry.record.thread_id.as_ref() == Some(thread));
        let newest = having.max_by_key(|entry| entry.record.last_accessed_at);
        Ok(newest.map(|entry| entry.record.name.clone()))
    }

    async fn list(&self, page: &Page, now: Timestamp) -> Result<Listing, StoreError> {
        let clock = self.clock.now();
        let state = self.lock();
        let place = |record: &SessionRecord| {
            (Reverse(record.last_accessed_at.as_millisecond()), record.name.clone())
        };
        let (ms, name) = page.start();
        let start = (Reverse(ms), name);
        let mut sessions: Vec<_> = state
            .entries
            .values()
            .filter(|entry| page.search.as_ref().is_none_or(|text| entry.mentions(text)))
            .filter(|entry| State::is_live(entry, now, clock))
            .map(|entry| &entry.record)
            .filter(|record| {
                page.directory.is_none() || record.directory() == page.directory.as_deref()
            })
            .filter(|record| page.status.is_none_or(|status| record.status == status))
            .filter(|record| page.since.is_none_or(|since| record.last_accessed_at >= since))
            .filter(|record| {
                (Reverse(record.last_accessed_at.as_millisecond()), record.name.as_str()) > start
            })
            .cloned()
            .collect();
        sessions.sort_by_key(place);
        let limit = page.limit as usize;
        let more = sessions.len() > limit;
        sessions.truncate(limit);
        let next = sessions.last().filter(|_| more).map(Cursor::at);
        Ok(Listing { sessions, next, damaged: Vec::new() })
    }

    async fn collect(&self, name: &SessionName, turn: u32) -> Result<bool, StoreError> {
        let mut state = self.lock();
        let turns = state.entries.get_mut(name).map(|entry| &mut entry.turns);
        let turn = turns.into_iter().flatten().find(|known| known.number == turn);
        Ok(turn.is_some_and(|turn| std::mem::take(&mut turn.details.uncollected)))
    }

    async fn count(&self, now: Timestamp) -> Result<u64, StoreError> {
        let clock = self.clock.now();
        let state = self.lock();
        let live = state.entries.values().filter(|entry| State::is_live(entry, now, clock));
        Ok(live.count() as u64)
    }

    async fn turns(
        &self,
        name: &SessionName,
        after: u32,
        limit: u32,
        excerpt: Excerpt,
    ) -> Result<Vec<TurnRecord>, StoreError> {
        let Excerpt { offset, length } = excerpt;
        let state = self.lock();
        let turns = state.entries.get(name).map(|entry| entry.turns.as_slice()).unwrap_or_default();
        let turns = turns.iter().filter(|turn| turn.number > after).take(limit as usize).cloned();
        Ok(turns
            .map(|turn| TurnRecord {
                prompt: turn.prompt.chars().take(length).collect(),
                response: turn.response.chars().skip(offset).take(length).collect(),
                ..turn
            })
            .collect())
    }

    async fn turn(
        &self,
        name: &SessionName,
        number: u32,
        after: u64,
    ) -> Result<Option<TurnRecord>, StoreError> {
        let state = self.lock();
        let turns = state.entries.get(name).map(|entry| entry.turns.as_slice()).unwrap_or_default();
        let mut turn = turns.iter().find(|turn| turn.number == number).cloned();
        if let Some(turn) = &mut turn {
            turn.items.retain(|recorded| recorded.change > after);
        }
        Ok(turn)
    }

    async fn rollouts(&self, name: &SessionName) -> Result<Vec<RolloutRecord>, StoreError> {
        let state = self.lock();
        let kept = state.entries.get(name).map(|entry| entry.rollouts.as_slice());
        Ok(kept.unwrap_or_default().iter().map(|(record, _)| record.clone()).collect())
    }

    async fn rollout_parts(
        &self,
        name: &SessionName,
        thread: &ThreadId,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        let state = self.lock();
        let kept = state.entries.get(name).map(|entry| entry.rollouts.as_slice());
        let found = kept.unwrap_or_default().iter().find(|(record, _)| record.thread == *thread);
        Ok(found.map(|(_, parts)| parts.clone()).unwrap_or_default())
    }

    async fn keep_rollouts(&self, lease: &Lease, kept: &[KeptRollout]) -> Result<bool, StoreError> {
        let clock = self.clock.now();
        let mut state = self.lock();
        let entry = state.held(lease, self.owner, clock)?;
        let mut rollouts = Vec::new();
        for KeptRollout { record, part } in kept {
            let start = part.as_ref().map_or(record.bytes, |part| part.start);
            let before = entry.rollouts.iter().find(|(before, _)| before.thread == record.thread);
            let mut parts = match before {
                _ if start == 0 => Vec::new(),
                Some((before, parts)) if before.bytes == start => parts.clone(),
                _ => return Ok(false),
            };
            parts.extend(part.as_ref().map(|part| part.data.clone()));
            rollouts.push((record.clone(), parts));
        }
        entry.rollouts = rollouts;
        Ok(true)
    }

    async fn usage_by_day(&self, since: Date) -> Result<Vec<DailyUsage>, StoreError> {
        let state = self.lock();
        let days = state.usage.iter().filter(|((Reverse(day), _), _)| *day >= since);
        let days = days.map(|((Reverse(day), model), (turns, usage, outcomes))| DailyUsage {
            day: *day,
            model: model.clone(),
            turns: *turns,
            usage: *usage,
            outcomes: *outcomes,
        });
        Ok(days.collect())
    }

    async fn sweep(&self, now: Timestamp) -> Result<Vec<SessionName>, StoreError> {
        let clock = self.clock.now();
        let mut state = self.lock();
        let state = &mut *state;
        state.cancel_abandoned(clock);
        state.free_lapsed(clock);
        state.handshakes.retain(|known| known.expires_at > now);
        Ok(state.remove_expired(now, clock))
    }

    async fn add_token(&self, token: &TokenRecord) -> Result<(), StoreError> {
        self.lock().tokens.push(token.clone());
        Ok(())
    }

    async fn token(&self, id: &str) -> Result<Option<TokenRecord>, StoreError> {
        Ok(self.lock().tokens.iter().find(|token| token.id == id).cloned())
    }

    async fn tokens(&self) -> Result<Vec<TokenRecord>, StoreError> {
        Ok(self.lock().tokens.clone())
    }

    async fn remove_token(&self, id: &str) -> Result<bool, StoreError> {
        let tokens = &mut self.lock().tokens;
        let before = tokens.len();
        tokens.retain(|token| token.id != id);
        Ok(tokens.len() < before)
    }

    async fn secret(&self, name: &str, candidate: [u8; 32]) -> Result<[u8; 32], StoreError> {
        Ok(*self.lock().secrets.entry(name.to_owned()).or_insert(candidate))
    }

    async fn keep_handshake(&self, handshake: &HandshakeRecord) -> Result<(), StoreError> {
        self.lock().handshakes.push(handshake.clone());
        Ok(())
    }

    async fn handshake(
        &self,
        id: &str,
        now: Timestamp,
    ) -> Result<Option<HandshakeRecord>, StoreError> {
        let state = self.lock();
        let known = state.handshakes.iter().find(|known| known.id == id);
        Ok(known.filter(|known| known.expires_at > now).cloned())
    }

    async fn prolong_handshake(&self, id: &str, until: Timestamp) -> Result<(), StoreError> {
        let mut state = self.lock();
        let known = state.handshakes.iter_mut().find(|known| known.id == id);
        if let Some(known) = known {
            known.expires_at = known.expires_at.max(until);
        }
        Ok(())
    }

    async fn forget_handshake(&self, id: &str) -> Result<(), StoreError> {
        self.lock().handshakes.retain(|known| known.id != id);
        Ok(())
    }

    fn is_current(&self) -> bool {
        true
    }
}

fn copied(state: &State, copy: CopiedTurns<'_>) -> Vec<TurnRecord> {
    let turns = state.entries.get(copy.from).map(|entry| entry.turns.as_slice());
    let turns = turns.unwrap_or_default().iter();
    let copied = turns.filter(|turn| turn.number <= copy.through);
    let copied = copied.filter(|turn| turn.status != SessionStatus::Queued);
    let mut copied: Vec<_> = copied.cloned().collect();
    for turn in copied.iter_mut().filter(|turn| turn.status == SessionStatus::Running) {
        turn.status = SessionStatus::Interrupted;
    }
    copied
}
