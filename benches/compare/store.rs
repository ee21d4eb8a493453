//! The store with many records against the store with few.

use std::time::{Duration, Instant};

use codex_mcp_server::session::{
    SessionName, SessionRecord,
    store::{Claim, Coordination, Page, SessionStore, SqliteStore, Turns},
};
use jiff::Timestamp;

use crate::measure::{median, millis, row};

/// Opens a session, writes it, lists a page: with 100,000 records and with 100.
pub(crate) async fn scale() {
    let few = times(100).await;
    let many = times(100_000).await;
    for (what, many, few) in [
        ("store of 100,000: open, ms", many.0, few.0),
        ("store of 100,000: update, ms", many.1, few.1),
        ("store of 100,000: list page, ms", many.2, few.2),
    ] {
        row(what, "of 100", many, few);
    }
}

async fn times(records: i64) -> (f64, f64, f64) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sessions.sqlite3");
    let store = SqliteStore::open(&path).await.unwrap();
    let ttl = Duration::from_secs(1_000_000);
    let name = |number: i64| -> SessionName { format!("s{number}").parse().unwrap() };
    let at = |number: i64| Timestamp::from_millisecond(number).unwrap();
    let first = SessionRecord::new(name(0), false, at(0), ttl);
    store.create(&first, None, 1, at(0)).await.unwrap();
    // The rest as copies of the first, in one statement: the store's own way would take minutes.
    let file = sqlx::SqlitePool::connect(&format!("sqlite://{}", path.display())).await.unwrap();
    sqlx::query(
        "INSERT INTO sessions (name, automatic, created_at, last_accessed_at, expires_at, status, \
         turn_count, settings, usage, revision) \
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?) \
         SELECT 's' || i, automatic, i, i, expires_at + i, status, turn_count, settings, usage, revision \
         FROM sessions, n",
    )
    .bind(records)
    .execute(&file)
    .await
    .unwrap();
    file.close().await;
    let now = at(records);
    let page = Page::first(50);
    let (mut opens, mut updates, mut lists) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..200 {
        let name = name((round * 7919) % records);
        let started = Instant::now();
        let claim = store.claim(&name, None, Duration::from_secs(30), now).await.unwrap();
        let Claim::Ours { lease, record: Ok(record) } = claim else {
            unreachable!("nobody else is there")
        };
        opens.push(millis(started));
        let started = Instant::now();
        store.commit(&lease, &record, Turns::Keep).await.unwrap();
        updates.push(millis(started));
        let started = Instant::now();
        store.list(&page, now).await.unwrap();
        lists.push(millis(started));
    }
    (median(opens), median(updates), median(lists))
}
