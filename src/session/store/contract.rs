//! What every back end promises, told once and run for each.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;

use super::{
    Ahead, Claim, Created, Errand, ErrandId, ErrandOutcome, Excerpt, MemoryStore, Page,
    SessionStore, SqliteStore, StoreError, Turns,
};
use crate::session::{
    SessionName,
    record::{SessionRecord, SessionStatus, TurnDetails, TurnRecord},
};

const TTL: Duration = Duration::from_mins(1);

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn name(text: &str) -> SessionName {
    text.parse().unwrap()
}

fn session(text: &str, automatic: bool, second: i64) -> SessionRecord {
    SessionRecord::new(name(text), automatic, at(second), TTL)
}

fn turn(number: u32, status: SessionStatus) -> TurnRecord {
    TurnRecord {
        number,
        prompt: format!("question {number}"),
        response: format!("answer {number}"),
        timestamp: at(i64::from(number)),
        status,
        details: TurnDetails { model: Some("m".into()), ..TurnDetails::default() },
    }
}

async fn claimed(store: &dyn SessionStore, text: &str, now: i64) -> SessionRecord {
    match store.claim(&name(text), None, at(now + 30), at(now)).await.unwrap() {
        Claim::Ours(record) => *record,
        other => panic!("not ours: {other:?}"),
    }
}

async fn names(store: &dyn SessionStore, now: i64) -> Vec<String> {
    let listing =
        store.list(&Page { limit: 100, after: None, search: None }, at(now)).await.unwrap();
    listing.sessions.into_iter().map(|session| session.name.to_string()).collect()
}

/// Everything that holds for one server alone.
async fn story(store: &dyn SessionStore) {
    // A session is made once.
    let done = Created::Done { evicted: vec![] };
    assert_eq!(store.create(&session("a", false, 0), 9, at(0)).await.unwrap(), done);
    assert_eq!(store.create(&session("a", false, 0), 9, at(0)).await.unwrap(), Created::Conflict);
    assert_eq!(store.claim(&name("b"), None, at(30), at(0)).await.unwrap(), Claim::Missing);

    // What is committed is read back; an old revision is refused and changes nothing.
    let mut record = claimed(store, "a", 1).await;
    let stale = record.clone();
    record.turn_count = 1;
    record.status = SessionStatus::Running;
    record.settings.model = Some("gpt".into());
    store.commit(&record, Turns::Put(&turn(1, SessionStatus::Running))).await.unwrap();
    let mut read = store.load(&name("a"), at(1)).await.unwrap().unwrap();
    assert_eq!(read.revision, record.revision + 1);
    assert_eq!(read.settings, record.settings);
    let refused = store.commit(&stale, Turns::Clear).await;
    assert!(matches!(refused, Err(StoreError::Stale { .. })));

    // A running session neither expires nor makes room.
    assert_eq!(store.create(&session("b", false, 1), 1, at(1)).await.unwrap(), Created::Full);
    assert_eq!(names(store, 1).await, ["a"]);
    store.renew(&name("a"), at(200)).await.unwrap();
    assert!(store.sweep(at(100)).await.unwrap().is_empty());
    assert!(store.load(&name("a"), at(100)).await.unwrap().is_some());

    // A turn is replaced by its number; turns come in order and in parts.
    read.status = SessionStatus::Completed;
    store.commit(&read, Turns::Put(&turn(1, SessionStatus::Completed))).await.unwrap();
    for number in 2..=3 {
        let mut record = claimed(store, "a", 1).await;
        record.turn_count = number;
        store.commit(&record, Turns::Put(&turn(number, SessionStatus::Completed))).await.unwrap();
    }
    let turns = store.turns(&name("a"), 0, 99, Excerpt::ALL).await.unwrap();
    assert_eq!(turns, [1, 2, 3].map(|number| turn(number, SessionStatus::Completed)));
    assert_eq!(store.turns(&name("a"), 1, 1, Excerpt::ALL).await.unwrap(), turns[1..2]);
    assert!(store.turns(&name("none"), 0, 9, Excerpt::ALL).await.unwrap().is_empty());
    let excerpt = Excerpt { offset: 2, length: 3 };
    let part = &store.turns(&name("a"), 0, 1, excerpt).await.unwrap()[0];
    assert_eq!((part.prompt.as_str(), part.response.as_str()), ("que", "swe"));

    // Only so many can wait; a ticket is used up by its claim or given up.
    let a = name("a");
    let place = || store.enqueue(&a, 2, at(99), at(1));
    let (first, second) = (place().await.unwrap(), place().await.unwrap());
    assert!(first < second && first.is_some());
    assert_eq!(place().await.unwrap(), None);
    store.claim(&name("a"), first, at(30), at(1)).await.unwrap();
    store.dequeue(second.unwrap()).await.unwrap();
    assert!(place().await.unwrap() > second);

    // Expired is gone, also before it is swept.
    assert!(store.load(&name("a"), at(60)).await.unwrap().is_none());
    assert!(names(store, 60).await.is_empty());
    assert_eq!(store.claim(&name("a"), None, at(90), at(60)).await.unwrap(), Claim::Missing);
    assert_eq!(store.sweep(at(60)).await.unwrap(), [name("a")]);
    assert!(store.turns(&name("a"), 0, 9, Excerpt::ALL).await.unwrap().is_empty());

    // At the cap, expired sessions go first, then automatic ones, then the least recently used.
    for (text, automatic, second) in
        [("old", false, 100), ("named", false, 170), ("auto", true, 172), ("young", false, 175)]
    {
        store.create(&session(text, automatic, second), 9, at(second)).await.unwrap();
    }
    let evicted =
        |names: &[&str]| Created::Done { evicted: names.iter().map(|n| name(n)).collect() };
    let create = |text: &'static str, cap: usize| async move {
        store.create(&session(text, false, 180), cap, at(180)).await.unwrap()
    };
    assert_eq!(create("c1", 4).await, evicted(&[]));
    assert_eq!(create("c2", 4).await, evicted(&["auto"]));
    assert_eq!(create("c3", 4).await, evicted(&["named"]));

    // Pages follow each other without gap or overlap, last used first.
    assert_eq!(names(store, 180).await, ["c1", "c2", "c3", "young"]);
    let first = store.list(&Page { limit: 3, after: None, search: None }, at(180)).await.unwrap();
    assert_eq!(first.sessions.len(), 3);
    let rest =
        store.list(&Page { limit: 3, after: first.next, search: None }, at(180)).await.unwrap();
    assert_eq!(rest.sessions[0].name, name("young"));
    assert_eq!(rest.next, None);

    // Deleted is gone, once.
    assert!(store.delete(&name("young")).await.unwrap());
    assert!(!store.delete(&name("young")).await.unwrap());
}

/// Two servers that share a store.
async fn two_servers(one: Arc<dyn SessionStore>, two: Arc<dyn SessionStore>) {
    one.create(&session("a", false, 0), 9, at(0)).await.unwrap();
    let mut record = claimed(&*one, "a", 1).await;
    record.status = SessionStatus::Running;
    record.turn_count = 1;
    one.commit(&record, Turns::Put(&turn(1, SessionStatus::Running))).await.unwrap();

    // The second waits, and the first learns that it does.
    let a = name("a");
    let held = |waiting| Claim::Held(Ahead { running: true, waiting });
    assert_eq!(two.claim(&a, None, at(31), at(1)).await.unwrap(), held(0));
    assert!(!one.inbox(&a, ErrandId(0), at(1)).await.unwrap().wanted);
    let waits = two.enqueue(&a, 9, at(31), at(1)).await.unwrap().unwrap();
    assert!(one.inbox(&a, ErrandId(0), at(1)).await.unwrap().wanted);
    assert!(!two.inbox(&a, ErrandId(0), at(1)).await.unwrap().wanted);
    two.release(&a).await.unwrap();
    assert_eq!(two.claim(&a, Some(waits), at(32), at(2)).await.unwrap(), held(0));

    // It asks something of the first, and is told what came of it, once.
    let steer = Errand::Steer("left".into());
    let id = two.post(&a, &steer, at(2)).await.unwrap();
    let errands = one.inbox(&a, ErrandId(0), at(2)).await.unwrap().errands;
    assert_eq!(errands, [(id, steer)]);
    assert!(one.inbox(&a, id, at(2)).await.unwrap().errands.is_empty());
    assert_eq!(two.outcome(id).await.unwrap(), None);
    one.report(id, &ErrandOutcome::Done).await.unwrap();
    assert_eq!(two.outcome(id).await.unwrap(), Some(ErrandOutcome::Done));
    assert_eq!(two.outcome(id).await.unwrap(), None);

    // Who came first is first, also before whoever has the lease; a place that ran out does not count.
    let later = one.enqueue(&a, 9, at(60), at(2)).await.unwrap();
    let second = Ahead { running: false, waiting: 1 };
    assert_eq!(one.claim(&a, later, at(33), at(3)).await.unwrap(), Claim::Held(second));
    assert!(matches!(one.claim(&a, later, at(62), at(32)).await.unwrap(), Claim::Ours(_)));
    one.renew(&a, at(39)).await.unwrap();

    // A lease that has run out is taken over; the turn it leaves behind was interrupted.
    let taken = claimed(&*two, "a", 40).await;
    assert_eq!(taken.status, SessionStatus::Interrupted);
    let turns = two.turns(&name("a"), 0, 9, Excerpt::ALL).await.unwrap();
    assert_eq!(turns[0].status, SessionStatus::Interrupted);
    assert_eq!(turns[0].response, "answer 1");
    two.release(&name("a")).await.unwrap();

    // One that was given back is free, one whose owner is dead is free at once, and so is its place.
    claimed(&*one, "a", 41).await;
    one.enqueue(&a, 9, at(99), at(41)).await.unwrap();
    drop(one);
    claimed(&*two, "a", 42).await;

    // Only one of two that race for a name or the last place gets it.
    let other = Arc::clone(&two);
    let race = |store: Arc<dyn SessionStore>, text: &'static str| async move {
        store.create(&session(text, false, 50), 2, at(50)).await.unwrap()
    };
    let (first, second) = tokio::join!(race(Arc::clone(&two), "x"), race(other, "x"));
    assert!((first == Created::Conflict) != (second == Created::Conflict));
}

#[tokio::test]
async fn memory_keeps_the_contract() {
    story(&MemoryStore::default()).await;
}

#[tokio::test]
async fn sqlite_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    story(&SqliteStore::open(&folder.path().join("s.sqlite3")).await.unwrap()).await;
}

#[tokio::test]
async fn sqlite_is_shared_by_servers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.sqlite3");
    let open = || async { Arc::new(SqliteStore::open(&path).await.unwrap()) };
    two_servers(open().await, open().await).await;
}
