//! Rows that cannot be read, and writes that cannot be done: each is named, none takes others along.

use std::time::Duration;

use jiff::Timestamp;

use crate::session::{
    SessionName, SessionRecord, SessionStatus, TurnDetails, TurnRecord,
    store::{Claim, Coordination, Page, SessionStore, SqlStore, StoreError, Turns},
};

const LEASE: Duration = Duration::from_mins(1);

fn now() -> Timestamp {
    Timestamp::from_second(1).unwrap()
}

async fn store_with(damage: &str) -> (tempfile::TempDir, SqlStore) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqlStore::in_file(&folder.path().join("s.sqlite3")).await.unwrap();
    for name in ["good", "bad"] {
        let name: SessionName = name.parse().unwrap();
        let record = SessionRecord::new(name, false, now(), Duration::from_mins(1));
        store.create(&record, None, 9, now()).await.unwrap();
    }
    let damage = format!("UPDATE sessions SET {damage} WHERE name = 'bad'");
    sqlx::query(sqlx::AssertSqlSafe(damage)).execute(store.sqlite()).await.unwrap();
    (folder, store)
}

#[tokio::test]
async fn a_damaged_session_is_named_and_the_others_work() {
    for damage in ["settings = '{not json'", "status = 'odd'", "last_turn = -1", "usage = '7'"] {
        let (_folder, store) = store_with(damage).await;
        let listing = store.list(&Page::first(9), now()).await.unwrap();
        assert_eq!(listing.damaged, ["bad"], "{damage}");
        assert_eq!(listing.sessions.len(), 1, "{damage}");
        let loaded = store.load(&"bad".parse().unwrap(), now()).await;
        assert!(matches!(loaded, Err(StoreError::Damaged { .. })), "{damage}");
        let claim = async |name: &str| {
            let claim = store.claim(&name.parse().unwrap(), None, LEASE, now()).await.unwrap();
            let Claim::Ours { lease, record, .. } = claim else { panic!("not ours: {claim:?}") };
            (lease, record)
        };
        assert!(claim("good").await.1.is_ok(), "{damage}");
        // What cannot be read can still be deleted.
        let (lease, record) = claim("bad").await;
        assert!(matches!(record, Err(StoreError::Damaged { .. })), "{damage}");
        store.delete(&lease).await.unwrap();
    }
}

#[tokio::test]
async fn a_null_is_an_empty_value() {
    for damage in ["settings = 'null'", "usage = 'null'", "settings = '{\"newer\": 1}'"] {
        let (_folder, store) = store_with(damage).await;
        let record = store.load(&"bad".parse().unwrap(), now()).await.unwrap().unwrap();
        assert_eq!(record.settings, crate::session::Settings::default(), "{damage}");
    }
}

#[tokio::test]
async fn a_full_disk_is_an_error_and_costs_nothing_that_was_there() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqlStore::in_file(&folder.path().join("s.sqlite3")).await.unwrap();
    let name: SessionName = "s".parse().unwrap();
    let record = SessionRecord::new(name.clone(), false, now(), Duration::from_mins(1));
    store.create(&record, None, 9, now()).await.unwrap();
    let claim = store.claim(&name, None, LEASE, now()).await.unwrap();
    let Claim::Ours { lease, .. } = claim else { panic!("not ours: {claim:?}") };
    // As many pages as there are, and not one more: what SQLite sees of a full disk.
    sqlx::query("PRAGMA max_page_count = 1").execute(store.sqlite()).await.unwrap();
    let turn = TurnRecord {
        number: 1,
        prompt: "x".repeat(100_000),
        response: String::new(),
        timestamp: now(),
        status: SessionStatus::Running,
        items: Vec::new(),
        details: TurnDetails::default(),
    };
    let failed = store.commit(&lease, &record, Turns::Put(&turn)).await.unwrap_err();
    assert!(matches!(failed, StoreError::Unavailable { action: "write a session to", .. }));
    assert_eq!(store.load(&name, now()).await.unwrap(), Some(record.clone()));
    // Room again, and the same write works.
    sqlx::query("PRAGMA max_page_count = 1000000").execute(store.sqlite()).await.unwrap();
    store.commit(&lease, &record, Turns::Put(&turn)).await.unwrap();
}
