//! The store with many records against the store with few.

use std::time::{Duration, Instant};

use codex_mcp_server::store::{
    Claim, Coordination, Page, PostgresPool, SessionName, SessionRecord, SessionStore, SqlStore,
    Turns,
};
use jiff::Timestamp;
use testkit::Postgres;

use crate::measure::{median, millis, row};

/// Opens a session, writes it, lists a page: with 100,000 records and with 100.
pub(crate) async fn scale() {
    for (store, few, many) in [
        ("SQLite", in_file(100).await, in_file(100_000).await),
        ("PostgreSQL", in_database(100).await, in_database(100_000).await),
    ] {
        for (what, many, few) in
            [("open", many.0, few.0), ("update", many.1, few.1), ("list page", many.2, few.2)]
        {
            row(&format!("{store}, 100,000: {what}, ms"), "of 100", many, few);
        }
    }
}

fn name(number: i64) -> SessionName {
    format!("s{number}").parse().unwrap()
}

fn at(number: i64) -> Timestamp {
    Timestamp::from_millisecond(number).unwrap()
}

/// The first of many; the rest are copies of it, in one statement: the store's own way would take minutes.
fn first() -> SessionRecord {
    SessionRecord::new(name(0), false, at(0), Duration::from_secs(1_000_000))
}

async fn in_file(records: i64) -> (f64, f64, f64) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sessions.sqlite3");
    let store = SqlStore::in_file(&path).await.unwrap();
    store.create(&first(), None, 1, at(0)).await.unwrap();
    let file = sqlx::SqlitePool::connect(&format!("sqlite://{}", path.display())).await.unwrap();
    sqlx::query(
        "INSERT INTO sessions (tenant, name, automatic, created_at, last_accessed_at, expires_at, status, \
         last_turn, settings, usage, details, revision) \
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?) \
         SELECT tenant, 's' || i, automatic, i, i, expires_at + i, status, last_turn, settings, usage, details, \
         revision FROM sessions, n",
    )
    .bind(records)
    .execute(&file)
    .await
    .unwrap();
    file.close().await;
    times(&store, records).await
}

async fn in_database(records: i64) -> (f64, f64, f64) {
    let url = Postgres::shared().database().await;
    let store = PostgresPool::new(&url, None).unwrap();
    let store = SqlStore::in_postgres(&store, "").await.unwrap();
    store.create(&first(), None, 1, at(0)).await.unwrap();
    let copy = format!(
        "INSERT INTO sessions (tenant, name, automatic, created_at, last_accessed_at, expires_at, status, \
         last_turn, settings, usage, details, revision) SELECT tenant, 's' || i, automatic, i, i, expires_at + i, \
         status, last_turn, settings, usage, details, revision FROM sessions, generate_series(1, {}) AS i",
        records - 1
    );
    Postgres::execute(&url, &copy).await;
    Postgres::execute(&url, "ANALYZE").await;
    times(&store, records).await
}

async fn times(store: &(impl SessionStore + Coordination), records: i64) -> (f64, f64, f64) {
    let now = at(records);
    let page = Page::first(50);
    let (mut opens, mut updates, mut lists) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..200 {
        let name = name((round * 7919) % records);
        let started = Instant::now();
        let claim = store.claim(&name, None, Duration::from_secs(30), now).await.unwrap();
        let Claim::Ours { lease, record: Ok(record), .. } = claim else {
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
