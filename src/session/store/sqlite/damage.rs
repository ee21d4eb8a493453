//! Rows that cannot be read: each is named, none hides the others.

use std::time::Duration;

use jiff::Timestamp;

use super::SqliteStore;
use crate::session::{
    SessionName, SessionRecord,
    store::{Claim, Page, SessionStore, StoreError},
};

fn now() -> Timestamp {
    Timestamp::from_second(1).unwrap()
}

async fn store_with(damage: &str) -> (tempfile::TempDir, SqliteStore) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("s.sqlite3")).await.unwrap();
    for name in ["good", "bad"] {
        let name: SessionName = name.parse().unwrap();
        let record = SessionRecord::new(name, false, now(), Duration::from_secs(60));
        store.create(&record, 9, now()).await.unwrap();
    }
    let damage = format!("UPDATE sessions SET {damage} WHERE name = 'bad'");
    sqlx::query(sqlx::AssertSqlSafe(damage)).execute(&store.pool).await.unwrap();
    (folder, store)
}

#[tokio::test]
async fn a_damaged_session_is_named_and_the_others_work() {
    for damage in ["settings = '{not json'", "status = 'odd'", "turn_count = -1", "usage = '7'"] {
        let (_folder, store) = store_with(damage).await;
        let listing = store.list(&Page { limit: 9, after: None }, now()).await.unwrap();
        assert_eq!(listing.damaged, ["bad"], "{damage}");
        assert_eq!(listing.sessions.len(), 1, "{damage}");
        let loaded = store.load(&"bad".parse().unwrap(), now()).await;
        assert!(matches!(loaded, Err(StoreError::Damaged { .. })), "{damage}");
        let good = store.claim(&"good".parse().unwrap(), now(), now()).await.unwrap();
        assert!(matches!(good, Claim::Ours(_)), "{damage}");
        assert!(store.delete(&"bad".parse().unwrap()).await.unwrap(), "{damage}");
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
