//! What every back end promises, told once and run for each.

mod alone;
mod approvals;
mod rollouts;
mod shared;

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;

#[cfg(unix)]
use super::PostgresPool;
use super::{Claim, Lease, Page, Promise, ReferenceStore, SqlStore, Store, StoreClock};
use crate::session::{
    SessionName,
    record::{SessionRecord, SessionStatus, examples::turn},
};

const TTL: Duration = Duration::from_mins(1);
const LEASE: Duration = Duration::from_secs(30);

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn name(text: &str) -> SessionName {
    text.parse().unwrap()
}

fn session(text: &str, automatic: bool, second: i64) -> SessionRecord {
    SessionRecord::new(name(text), automatic, at(second), TTL)
}

async fn claimed(store: &dyn Store, text: &str, now: i64) -> (Lease, SessionRecord) {
    match store.claim(&name(text), None, LEASE, at(now)).await.unwrap() {
        Claim::Ours { lease, record, .. } => (lease, *record.unwrap()),
        other => panic!("not ours: {other:?}"),
    }
}

/// Makes a session and claims it.
async fn begun(store: &dyn Store, text: &str, now: i64) -> (Lease, SessionRecord) {
    store.create(&session(text, false, now), None, 99, at(now)).await.unwrap();
    claimed(store, text, now).await
}

/// Queues a turn, which is promised if `runner` says who may run it. Its number, if there is room for it.
async fn queued(
    store: &dyn Store,
    text: &str,
    limit: usize,
    time: Duration,
    runner: Option<&str>,
) -> Option<u32> {
    let promise = runner.map(|runner| Promise { runner: runner.into(), request: "{}".into() });
    let turn = turn(0, SessionStatus::Queued);
    store.enqueue(&name(text), &turn, promise.as_ref(), limit, time).await.unwrap()
}

async fn names(store: &dyn Store, now: i64) -> Vec<String> {
    let listing = store.list(&Page::first(100), at(now)).await.unwrap();
    assert_eq!(store.count(at(now)).await.unwrap(), listing.sessions.len() as u64);
    listing.sessions.into_iter().map(|session| session.name.to_string()).collect()
}

/// Two owners of one store, and the clock that both are judged by.
struct Pair {
    one: Arc<dyn Store>,
    two: Arc<dyn Store>,
    clock: StoreClock,
    /// Whether an owner sees at once that another has ended.
    sees_death: bool,
    _folder: Option<tempfile::TempDir>,
}

fn in_memory() -> Pair {
    let clock = StoreClock::manual();
    let one = ReferenceStore::new(clock.clone());
    let two = Arc::new(one.another());
    Pair { one: Arc::new(one), two, clock, sees_death: true, _folder: None }
}

async fn in_sqlite() -> Pair {
    let clock = StoreClock::manual();
    // Its time is never zero, as the machine's is not.
    clock.advance(seconds(1));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.sqlite3");
    let one = Arc::new(SqlStore::in_file_with(&path, clock.clone()).await.unwrap());
    let two = Arc::new(SqlStore::in_file_with(&path, clock.clone()).await.unwrap());
    Pair { one, two, clock, sees_death: true, _folder: Some(folder) }
}

#[cfg(unix)]
async fn in_postgres() -> Pair {
    let clock = StoreClock::manual();
    clock.advance(seconds(1));
    let database = testkit::Postgres::shared().database().await;
    let open = async || {
        let database = PostgresPool::new(&database, None).unwrap();
        Arc::new(SqlStore::in_postgres_with(&database, "t", clock.clone()).await.unwrap())
    };
    let (one, two) = (open().await, open().await);
    Pair { one, two, clock, sees_death: false, _folder: None }
}

/// Runs a story on every back end.
macro_rules! on_every_store {
    ($($story:ident),+ $(,)?) => {
        mod memory {
            $(#[tokio::test]
            async fn $story() {
                super::$story(super::super::in_memory()).await;
            })+
        }
        mod sqlite {
            $(#[tokio::test]
            async fn $story() {
                super::$story(super::super::in_sqlite().await).await;
            })+
        }
        #[cfg(unix)]
        mod postgres {
            $(#[tokio::test]
            async fn $story() {
                super::$story(super::super::in_postgres().await).await;
            })+
        }
    };
}
use on_every_store;
