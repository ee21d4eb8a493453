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
    perform::{Answer, AnyLease, Given, perform},
    records::{named, seen, short, written},
    world::World,
};
use crate::session::{
    SessionName,
    record::SessionRecord,
    store::{Lease, SqlStore, Store, StoreClock},
};

/// How far each owner's wall clock is off, in seconds. What is written by one may have expired for another.
const SKEW: [i64; OWNERS] = [0, 40, -40];

/// When the first wall clock starts.
const START: i64 = 1_000_000;

#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Sqlite,
    /// Each sequence has a tenant of its own.
    #[cfg(unix)]
    Postgres,
}

#[derive(Debug)]
pub(super) struct Owners {
    runtime: Runtime,
    clock: StoreClock,
    /// What the wall clocks show besides, in seconds.
    passed: i64,
    folder: tempfile::TempDir,
    /// The database and the tenant, if that is where the store is.
    #[cfg(unix)]
    postgres: Option<(String, String)>,
    /// What the owners reach it by, also those that have died.
    #[cfg(unix)]
    pools: Vec<PostgresPool>,
    stores: Vec<Option<Arc<dyn Store>>>,
    /// Counts operations.
    last: u64,
    leases: Vec<Held>,
    queued: Vec<(SessionName, u32)>,
    approvals: Vec<u64>,
    /// The highest epoch there was for each name.
    epochs: BTreeMap<SessionName, i64>,
    possible: Vec<World>,
}

/// A lease that was given.
#[derive(Debug, Clone)]
struct Held {
    real: Lease,
    /// As the reference numbers it.
    reference: Lease,
    record: SessionRecord,
    turn: u32,
}

impl Owners {
    pub(super) fn new(kind: Kind) -> Self {
        let clock = StoreClock::manual();
        clock.advance(Duration::from_secs(1));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut owners = Self {
            #[cfg(unix)]
            postgres: matches!(kind, Kind::Postgres)
                .then(|| (super::database(&runtime), uuid::Uuid::new_v4().to_string())),
            possible: vec![World::new(clock.clone())],
            clock,
            passed: 1,
            folder: tempfile::tempdir().unwrap(),
            runtime,
            #[cfg(unix)]
            pools: Vec::new(),
            stores: vec![None; OWNERS],
            last: 0,
            leases: Vec::new(),
            queued: Vec::new(),
            approvals: Vec::new(),
            epochs: BTreeMap::new(),
        };
        for owner in 0..2 {
            owners.rise(owner);
        }
        owners
    }

    /// Another owner of the store.
    fn open(&mut self) -> Arc<dyn Store> {
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
        self.stores[owner] = Some(self.open());
        for world in &mut self.possible {
            world.rise(owner);
        }
    }

    fn now(&self, owner: usize) -> Timestamp {
        Timestamp::from_second(START + self.passed + SKEW[owner]).unwrap()
    }

    pub(super) fn carry_out(&mut self, Step { owner, operation, cut }: Step) {
        match (&operation, &self.stores[owner]) {
            (Operation::Wait(seconds), _) => {
                self.clock.advance(Duration::from_secs(*seconds));
                self.passed += seconds.cast_signed();
            }
            (Operation::Rise, None) => self.rise(owner),
            (Operation::Die, Some(_)) => {
                let is_seen = self.sees_death();
                for world in &mut self.possible {
                    world.die(owner, is_seen);
                }
                self.stores[owner] = None;
            }
            (Operation::Rise | Operation::Die, _) | (_, None) => return,
            (_, Some(store)) => {
                let store = Arc::clone(store);
                self.try_it(owner, &*store, &operation, cut);
            }
        }
        self.inspect();
    }

    fn try_it(&mut self, owner: usize, store: &dyn Store, operation: &Operation, cut: Option<u64>) {
        self.last += 1;
        let held = operation.lease().and_then(|index| self.held(index));
        let with = |lease: fn(&Held) -> &Lease| {
            held.as_ref().map(|it| (lease(it).clone(), it.record.clone(), it.turn))
        };
        let real = Given {
            now: self.now(owner),
            number: self.last,
            lease: with(|held| &held.real),
            queued: operation.queued().and_then(|index| chosen(index, &self.queued)),
            approval: operation.approval().and_then(|index| chosen(index, &self.approvals)),
        };
        let reference = Given { lease: with(|held| &held.reference), ..real.clone() };
        if let Operation::OpenApproval(_) = operation {
            self.approvals.extend(held.is_some().then_some(self.last));
        }
        let answered = self.run(store, operation, &real, cut);
        match (&answered, operation) {
            (Some(Answer::Ours(AnyLease(lease), record, turn)), _) => {
                let highest = self.epochs.insert(lease.session.clone(), lease.epoch);
                assert!(Some(lease.epoch) > highest, "an epoch that was there before: {lease:?}");
                let epoch = self.last.cast_signed();
                let reference = Lease { session: lease.session.clone(), epoch };
                let (real, record, turn) = (lease.clone(), (**record).clone(), *turn);
                self.leases.push(Held { real, reference, record, turn });
            }
            (Some(Answer::Queued(Some(number))), Operation::Enqueue { name, .. }) => {
                self.queued.push((named(*name), *number));
            }
            (Some(Answer::Nothing), Operation::Commit { write, .. }) => {
                let kept = self.leases.iter_mut().find(|kept| {
                    held.as_ref().is_some_and(|held| held.reference == kept.reference)
                });
                if let Some(Held { record, turn, .. }) = kept {
                    let (written, ..) = written(record, *write, *turn, real.now);
                    *record = SessionRecord { revision: written.revision + 1, ..written };
                }
            }
            _ => {}
        }
        self.judge(answered.as_ref(), |world| world.perform(owner, operation, &reference));
    }

    fn held(&self, index: Index) -> Option<Held> {
        // One of the last ones: the others are all lost.
        chosen(index, self.leases.get(self.leases.len().saturating_sub(4)..)?)
    }

    /// Carries an operation out, or drops it in the middle; then nothing is known of what it did.
    fn run(
        &self,
        store: &dyn Store,
        operation: &Operation,
        given: &Given,
        cut: Option<u64>,
    ) -> Option<Answer> {
        let performed = perform(store, operation, given);
        let answered = self.runtime.block_on(async {
            let Some(cut) = cut else { return Some(performed.await) };
            let limit = Duration::from_micros(cut * 100);
            let answered = tokio::time::timeout(limit, performed).await.ok();
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
        answered.map(|answered| answered.expect("the store failed"))
    }

    /// Keeps what is possible after an operation that was answered so, or not at all.
    fn judge(&mut self, answered: Option<&Answer>, perform: impl Fn(&World) -> Answer) {
        let mut expected = Vec::new();
        let mut possible: Vec<World> = Vec::new();
        for before in &self.possible {
            let after = before.clone();
            let answer = perform(&after);
            match answered {
                None => possible.extend([before.clone(), after]),
                Some(answered) if answer == *answered => possible.push(after),
                Some(_) => expected.push(answer),
            }
        }
        possible.dedup();
        assert!(!possible.is_empty(), "it answered {answered:?}, and not one of {expected:?}");
        self.possible = possible;
    }

    /// Reads all there is, as every owner sees it, and keeps what is still possible.
    fn inspect(&mut self) {
        for owner in 0..OWNERS {
            let Some(store) = &self.stores[owner] else { continue };
            let now = self.now(owner);
            let seen = self.runtime.block_on(seen(&**store, now));
            let expected: Vec<_> =
                self.possible.iter().map(|world| world.seen(owner, now)).collect();
            let mut is_it = expected.iter().map(|expected| *expected == seen);
            self.possible.retain(|_| is_it.next() == Some(true));
            assert!(
                !self.possible.is_empty(),
                "there is {}, and not one of {:?}",
                short(&seen),
                expected.iter().map(short).collect::<Vec<_>>()
            );
        }
        self.possible.dedup();
    }
}

fn chosen<T: Clone>(index: Index, all: &[T]) -> Option<T> {
    (!all.is_empty()).then(|| index.get(all).clone())
}
