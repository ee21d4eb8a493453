//! Several owners of one real store, and every state it may be in as far as they can know.
//!
//! An operation whose future was dropped has happened or it has not: both stay possible until something that is read
//! rules one of them out. When nothing is possible any more, the store contradicts the reference.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use proptest::sample::Index;
use tokio::runtime::Runtime;

#[cfg(unix)]
use crate::session::store::PostgresPool;

use super::{
    operation::{OWNERS, Operation, Step},
    records::{TTL, approval_id, named, short, written},
    reference::{Answer, CAP, Claimed, LEASE, Reference},
};
use crate::{
    codex::{self, Decision},
    session::{
        SessionName,
        record::{AnswerRecord, ApprovalState, SessionRecord, examples::approval},
        store::{
            Claim, Created, Excerpt, Lease, ReferenceStore, Renamed, SqlStore, Store, StoreClock,
            StoreError, Turns,
        },
    },
};

/// How far each owner's wall clock is off, in seconds. What is written by one may have expired for another.
const SKEW: [i64; OWNERS] = [0, 40, -40];

/// When the first wall clock starts.
const START: i64 = 1_000_000;

pub(super) const SPAN: Duration = Duration::from_secs(LEASE.unsigned_abs());

#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Memory,
    Sqlite,
    /// Each sequence has a tenant of its own.
    #[cfg(unix)]
    Postgres,
}

#[derive(Debug)]
pub(super) struct Owners {
    runtime: Runtime,
    clock: StoreClock,
    folder: tempfile::TempDir,
    /// Gives out further owners of a store in memory.
    memory: Option<ReferenceStore>,
    /// The database and the tenant, if that is where the store is.
    #[cfg(unix)]
    postgres: Option<(String, String)>,
    /// What the owners reach it by, also those that have died.
    #[cfg(unix)]
    pools: Vec<PostgresPool>,
    stores: Vec<Option<(u64, Arc<dyn Store>)>>,
    /// Counts owners, claims, places and approvals.
    last: u64,
    leases: Vec<(Claimed, Lease, SessionRecord)>,
    pub(super) queued: Vec<(SessionName, u32)>,
    approvals: Vec<u64>,
    /// The highest epoch there was for each name.
    epochs: BTreeMap<SessionName, i64>,
    possible: Vec<Reference>,
}

/// What came of an operation.
pub(super) enum Done {
    /// Its future was dropped.
    Cut,
    Answered(Answer),
}

impl Owners {
    pub(super) fn new(kind: Kind) -> Self {
        let clock = StoreClock::manual();
        clock.advance(Duration::from_secs(1));
        let memory = matches!(kind, Kind::Memory).then(|| ReferenceStore::new(clock.clone()));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut owners = Self {
            clock,
            folder: tempfile::tempdir().unwrap(),
            memory,
            #[cfg(unix)]
            postgres: matches!(kind, Kind::Postgres)
                .then(|| (super::database(&runtime), uuid::Uuid::new_v4().to_string())),
            runtime,
            #[cfg(unix)]
            pools: Vec::new(),
            stores: vec![None; OWNERS],
            last: 0,
            leases: Vec::new(),
            queued: Vec::new(),
            approvals: Vec::new(),
            epochs: BTreeMap::new(),
            possible: vec![Reference::at(1)],
        };
        for owner in 0..2 {
            owners.rise(owner);
        }
        owners
    }

    fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// Another owner of the store.
    fn open(&mut self) -> Arc<dyn Store> {
        if let Some(memory) = &self.memory {
            return Arc::new(memory.another());
        }
        let clock = self.clock.clone();
        #[cfg(unix)]
        if let Some((url, tenant)) = &self.postgres {
            return self.runtime.block_on(async {
                let database = PostgresPool::new(url, None).unwrap();
                self.pools.push(database.clone());
                Arc::new(SqlStore::in_postgres_with(&database, tenant, clock).await.unwrap())
            });
        }
        let path = self.folder.path().join("s.sqlite3");
        Arc::new(self.runtime.block_on(SqlStore::in_file_with(&path, clock)).unwrap())
    }

    /// Whether the others see at once that an owner has ended.
    fn sees_death(&self) -> bool {
        #[cfg(unix)]
        return self.postgres.is_none();
        #[cfg(not(unix))]
        true
    }

    fn rise(&mut self, owner: usize) {
        let store = self.open();
        let id = self.next();
        self.stores[owner] = Some((id, store));
        for reference in &mut self.possible {
            reference.alive.insert(id);
        }
    }

    fn wall(&self, owner: usize) -> i64 {
        START + self.possible[0].clock + SKEW[owner]
    }

    pub(super) fn carry_out(&mut self, Step { owner, operation, cut }: Step) {
        match (&operation, &self.stores[owner]) {
            (Operation::Wait(seconds), _) => {
                self.clock.advance(Duration::from_secs(*seconds));
                for reference in &mut self.possible {
                    reference.clock += seconds.cast_signed();
                }
            }
            (Operation::Rise, None) => self.rise(owner),
            (Operation::Die, Some((id, _))) => {
                if self.sees_death() {
                    let id = *id;
                    for reference in &mut self.possible {
                        reference.alive.remove(&id);
                    }
                }
                self.stores[owner] = None;
            }
            (Operation::Rise | Operation::Die, _) | (_, None) => return,
            (_, Some((id, store))) => {
                let (id, store) = (*id, Arc::clone(store));
                self.try_it(owner, id, &*store, &operation, cut);
            }
        }
        self.inspect();
    }

    fn lease(&self, index: Index) -> Option<(Claimed, Lease, SessionRecord)> {
        // One of the last ones: the others are all lost.
        let recent = self.leases.get(self.leases.len().saturating_sub(4)..)?;
        (!recent.is_empty()).then(|| index.get(recent).clone())
    }

    fn try_it(
        &mut self,
        owner: usize,
        by: u64,
        store: &dyn Store,
        operation: &Operation,
        cut: Option<u64>,
    ) {
        let (wall, number) = (self.wall(owner), self.next());
        let now = Timestamp::from_second(wall).unwrap();
        match operation {
            Operation::Create { name, automatic } => {
                let record = SessionRecord::new(named(*name), *automatic, now, TTL);
                let done = self.run(store, cut, async {
                    Ok(match store.create(&record, None, CAP, now).await? {
                        Created::Done { evicted } => Answer::Evicted(evicted),
                        Created::Conflict => Answer::Conflict,
                        Created::Full => Answer::Full,
                    })
                });
                self.judge(&done, |reference| reference.create(&record, wall));
            }
            Operation::Claim { name, turn } => {
                let name = named(*name);
                let turn = turn.as_ref().filter(|_| !self.queued.is_empty());
                let turn = turn.map(|index| index.get(&self.queued).1);
                let mut taken = None;
                let done = self.run(store, cut, async {
                    Ok(match store.claim(&name, turn, SPAN, now).await? {
                        Claim::Ours { lease, record, turn } => {
                            let record = record?;
                            taken = Some((lease, (*record).clone(), turn));
                            Answer::Ours(record, turn)
                        }
                        Claim::Held(ahead) => {
                            Answer::Held { running: ahead.running, waiting: ahead.waiting }
                        }
                        Claim::Missing => Answer::Missing,
                    })
                });
                if let Some((lease, record, given)) = taken {
                    let highest = self.epochs.insert(name.clone(), lease.epoch).unwrap_or_default();
                    assert!(lease.epoch > highest, "an epoch that was there before: {lease:?}");
                    let claimed =
                        Claimed { session: name.clone(), owner: by, claim: number, given };
                    self.leases.push((claimed, lease, record));
                }
                self.judge(&done, |reference| reference.claim(by, &name, turn, number, wall));
            }
            Operation::Enqueue { .. }
            | Operation::Promise(_)
            | Operation::CallOff(_)
            | Operation::Adopt
            | Operation::RenewPlaces(_) => {
                self.queue_up((by, store), operation, cut);
            }
            Operation::Sweep => {
                let done = self.run(store, cut, async {
                    let removed = store.sweep(now).await?;
                    Ok(Answer::Removed(removed.into_iter().collect()))
                });
                self.judge(&done, |reference| reference.sweep(wall));
            }
            Operation::Answer(index) => {
                if self.approvals.is_empty() {
                    return;
                }
                let number = *index.get(&self.approvals);
                let answer = codex::Answer::plain(Decision::Accept);
                let answer = AnswerRecord { answer, by: by.to_string(), remark: None };
                let done = self.run(store, cut, async {
                    let session = store.answer_approval(&approval_id(number), &answer).await?;
                    Ok(Answer::Yes(session.is_some()))
                });
                self.judge(&done, |reference| reference.answer(number));
            }
            Operation::Renew(lease)
            | Operation::Release(lease)
            | Operation::Delete(lease)
            | Operation::Rename { lease, .. }
            | Operation::OpenApproval(lease)
            | Operation::Commit { lease, .. }
            | Operation::Settle { lease, .. } => {
                let Some((claimed, lease, record)) = self.lease(*lease) else { return };
                self.use_lease(
                    (by, store),
                    operation,
                    cut,
                    (&claimed, &lease, record),
                    now,
                    number,
                );
            }
            Operation::Wait(_) | Operation::Die | Operation::Rise => {}
        }
    }

    fn use_lease(
        &mut self,
        (by, store): (u64, &dyn Store),
        operation: &Operation,
        cut: Option<u64>,
        (claimed, lease, record): (&Claimed, &Lease, SessionRecord),
        now: Timestamp,
        number: u64,
    ) {
        match operation {
            Operation::Renew(_) => {
                let done =
                    self.run(store, cut, async { store.renew(lease, SPAN).await.map(Answer::Yes) });
                self.judge(&done, |reference| reference.renew(by, claimed));
            }
            Operation::Release(_) => {
                let done = self.run(store, cut, async {
                    store.release(lease).await.map(|()| Answer::Nothing)
                });
                self.judge(&done, |reference| reference.release(by, claimed));
            }
            Operation::Delete(_) => {
                let done = self
                    .run(store, cut, async { store.delete(lease).await.map(|()| Answer::Nothing) });
                self.judge(&done, |reference| reference.delete(by, claimed));
            }
            Operation::Rename { name, .. } => {
                let renamed = SessionRecord { name: named(*name), ..record };
                let done = self.run(store, cut, async {
                    Ok(match store.rename(lease, &renamed, now).await? {
                        Renamed::Done => Answer::Nothing,
                        Renamed::Taken => Answer::Conflict,
                        Renamed::Wanted => Answer::Yes(false),
                    })
                });
                let wall = now.as_second();
                self.judge(&done, |reference| reference.rename(by, claimed, &renamed, wall));
            }
            Operation::OpenApproval(_) => {
                let approval = approval(&number.to_string(), lease.session.as_str());
                let done = self.run(store, cut, async {
                    store.open_approval(lease, &approval, SPAN).await.map(|()| Answer::Nothing)
                });
                self.approvals.push(number);
                self.judge(&done, |reference| reference.open_approval(by, claimed, number));
            }
            Operation::Settle { approval, state, .. } if !self.approvals.is_empty() => {
                let number = *approval.get(&self.approvals);
                let states =
                    [ApprovalState::Settled, ApprovalState::Withdrawn, ApprovalState::Expired];
                let state = states[*state];
                let done = self.run(store, cut, async {
                    store.settle_approval(lease, &approval_id(number), state).await.map(Answer::Yes)
                });
                self.judge(&done, |reference| reference.settle(by, claimed, number, state));
            }
            Operation::Commit { write, .. } => {
                let (written, turn, restarts) = written(&record, *write, claimed.given, now);
                let turns = match &turn {
                    None => Turns::Keep,
                    Some(turn) if restarts => Turns::Restart(turn),
                    Some(turn) => Turns::Put(turn),
                };
                let done = self.run(store, cut, async {
                    match store.commit(lease, &written, turns).await {
                        Err(StoreError::CalledOff { .. }) => Ok(Answer::CalledOff),
                        written => written.map(|()| Answer::Nothing),
                    }
                });
                if let Done::Answered(Answer::Nothing) = &done {
                    let kept = self.leases.iter_mut().find(|(known, ..)| known == claimed);
                    if let Some((.., record)) = kept {
                        *record =
                            SessionRecord { revision: written.revision + 1, ..written.clone() };
                    }
                }
                let turn = turn.as_ref();
                self.judge(&done, |reference| {
                    reference.commit(by, claimed, &written, turn, restarts)
                });
            }
            _ => {}
        }
    }

    /// Runs an operation, or drops it in the middle.
    pub(super) fn run(
        &self,
        store: &dyn Store,
        cut: Option<u64>,
        operation: impl Future<Output = Result<Answer, StoreError>>,
    ) -> Done {
        let answered = self.runtime.block_on(async {
            let Some(cut) = cut else { return Some(operation.await) };
            let limit = Duration::from_micros(cut * 100);
            let answered = tokio::time::timeout(limit, operation).await.ok();
            if answered.is_none() {
                // What is still under way in the store's own thread ends before this is answered.
                store.load(&named(0), Timestamp::UNIX_EPOCH).await.unwrap();
                // Nor is a connection to the database given back before its end is known.
                #[cfg(unix)]
                testkit::wait_for("the connections", || {
                    self.pools.iter().all(PostgresPool::is_quiet).then_some(())
                })
                .await;
            }
            answered
        });
        match answered {
            None => Done::Cut,
            Some(Ok(answer)) => Done::Answered(answer),
            Some(Err(StoreError::LeaseLost { .. })) => Done::Answered(Answer::LeaseLost),
            Some(Err(StoreError::Stale { .. })) => Done::Answered(Answer::Stale),
            Some(Err(error)) => panic!("the store failed: {error:?}"),
        }
    }

    /// Keeps what is possible after an operation.
    pub(super) fn judge(&mut self, done: &Done, apply: impl Fn(&mut Reference) -> Answer) {
        let mut expected = Vec::new();
        let mut possible: Vec<Reference> = Vec::new();
        for before in &self.possible {
            let mut after = before.clone();
            let answer = apply(&mut after);
            match done {
                Done::Cut => possible.extend([before.clone(), after]),
                Done::Answered(answered) if answer == *answered => possible.push(after),
                Done::Answered(_) => expected.push(answer),
            }
        }
        possible.dedup();
        if let Done::Answered(answered) = done {
            assert!(!possible.is_empty(), "it answered {answered:?}, and not one of {expected:?}");
        }
        self.possible = possible;
    }

    /// Reads all there is, as every owner sees it, and keeps what is still possible.
    fn inspect(&mut self) {
        for owner in 0..OWNERS {
            let Some((_, store)) = &self.stores[owner] else { continue };
            let wall = self.wall(owner);
            let now = Timestamp::from_second(wall).unwrap();
            let seen = self.runtime.block_on(async {
                let mut seen = BTreeMap::new();
                for name in (0..4).map(named) {
                    if let Some(record) = store.load(&name, now).await.unwrap() {
                        let turns = store.turns(&name, 0, 99, Excerpt::ALL).await.unwrap();
                        seen.insert(name, (record, turns));
                    }
                }
                let open = store.open_approvals(None).await.unwrap();
                let open = open.into_iter().map(|open| open.approval.id);
                (seen, open.collect::<Vec<_>>())
            });
            let expected = |reference: &Reference| {
                let live = reference
                    .sessions
                    .iter()
                    .filter(|(_, session)| reference.is_live(session, wall))
                    .map(|(name, session)| {
                        (name.clone(), (session.record.clone(), session.turns.clone()))
                    });
                let open = reference.approvals.iter().filter(|one| reference.is_open(one));
                let open = open.map(|approval| approval_id(approval.number));
                (live.collect::<BTreeMap<_, _>>(), open.collect::<Vec<_>>())
            };
            let before = self.possible.clone();
            self.possible.retain(|reference| expected(reference) == seen);
            assert!(
                !self.possible.is_empty(),
                "there is {}, and not one of {:?}",
                short(&seen),
                before.iter().map(|reference| short(&expected(reference))).collect::<Vec<_>>()
            );
        }
        self.possible.dedup();
    }
}
