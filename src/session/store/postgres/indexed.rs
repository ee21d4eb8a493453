//! Every statement that runs often finds what it needs by an index, however many sessions there are: PostgreSQL itself counts
//! what it reads.

use std::time::Duration;

use jiff::Timestamp;
use sqlx::PgPool;
use testkit::Postgres;

use super::PostgresPool;
use crate::session::{
    Answer, Decision, SessionName, SessionRecord,
    record::{
        AnswerRecord, ApprovalState, ForwardedMessage, KeptRollout, RolloutPart, RolloutRecord,
        SessionStatus, ThreadId,
        examples::{approval, turn},
    },
    store::{
        Claim, ControlMessage, ControlOutcome, Coordination, Excerpt, Lease, MessageId, Page,
        Promise, SessionStore, SqlStore, Turns,
    },
};

/// How many sessions there are, each with some turns, and as many of all else.
const MANY: i64 = 5000;

/// How many rows all of it may read together: a page of sessions, and a few each.
const FEW: i64 = 500;

const TIME: Duration = Duration::from_mins(1);

const FILL: &[&str] = &[
    "INSERT INTO sessions (tenant, name, automatic, created_at, last_accessed_at, expires_at, thread_id, status, \
     last_turn, settings, usage, details, revision) SELECT 't', 'm' || i, false, i, i, 2e14, 'thread' || i, \
     'completed', 9, settings, usage, details, 0 FROM sessions, generate_series(1, $1) AS i",
    "INSERT INTO turns SELECT 't', 'm' || i, n, 'completed', 0, 'p', 'r', '{}' \
     FROM generate_series(1, $1) AS i, generate_series(1, 9) AS n",
    "INSERT INTO turns SELECT 't', 'm' || i, 10, 'queued', 0, 'p', '', '{}', 'o', 2e14, '{}', 'r' \
     FROM generate_series(1, $1) AS i",
    "INSERT INTO items SELECT 't', 'm' || i, n, 0, 1, '{}' FROM generate_series(1, $1) AS i, generate_series(1, 9) AS n",
    "INSERT INTO control_messages (tenant, session, posted, message) SELECT 't', 'm' || i, 2e14, '{}' \
     FROM generate_series(1, $1) AS i",
    "INSERT INTO approvals SELECT 't', 'a' || i, 'm' || i, 'o', 0, 0, 0, 'expired', '{}' FROM generate_series(1, $1) AS i",
    "INSERT INTO rollouts SELECT 't', 'm' || i, 'thread', 0, 'p', 1, 'd', 1 FROM generate_series(1, $1) AS i",
    "INSERT INTO forwarded (server, mcp_session, message, posted) SELECT 'm' || i, 's', '{}', 2e14 \
     FROM generate_series(1, $1) AS i",
    "INSERT INTO handshakes SELECT 'h' || i, 'o', '{}', 2e14 FROM generate_series(1, $1) AS i",
    "INSERT INTO subscriptions SELECT 'h' || i, 'u' FROM generate_series(1, $1) AS i",
    "INSERT INTO rollout_parts SELECT 't', 'm' || i, 'thread', 0, 'x' FROM generate_series(1, $1) AS i",
];

fn name() -> SessionName {
    "s".parse().unwrap()
}

async fn claimed(store: &SqlStore, now: Timestamp) -> (Lease, SessionRecord) {
    match store.claim(&name(), None, TIME, now).await.unwrap() {
        Claim::Ours { lease, record, .. } => (lease, *record.unwrap()),
        other => panic!("not ours: {other:?}"),
    }
}

/// What a conversation does, from several servers.
async fn converse(store: &SqlStore, other: &SqlStore) {
    let now = Timestamp::now();
    let record = SessionRecord::new(name(), false, now, TIME);
    store.create(&record, None, 1_000_000, now).await.unwrap();
    let (lease, mut record) = claimed(store, now).await;
    store.renew(&lease, TIME).await.unwrap();
    record.status = SessionStatus::Running;
    store.commit(&lease, &record, Turns::Put(&turn(1, SessionStatus::Running))).await.unwrap();
    let promise = Promise { runner: "x".into(), request: "{}".into() };
    let waiting = turn(0, SessionStatus::Queued);
    let ticket = other.enqueue(&name(), &waiting, Some(&promise), 9, TIME).await.unwrap();
    assert!(other.promise(&name(), ticket.unwrap(), &promise, &waiting.details).await.unwrap());
    assert!(matches!(other.claim(&name(), ticket, TIME, now).await.unwrap(), Claim::Held(_)));
    other.renew_places(&name(), TIME).await.unwrap();
    let steer = ControlMessage::Steer { turn: 1, prompt: "p".into() };
    let posted = other.post(&name(), &steer).await.unwrap();
    assert!(store.inbox(&lease, MessageId::default()).await.unwrap().wanted);
    store.take(posted).await.unwrap();
    store.report(posted, &ControlOutcome::Done).await.unwrap();
    other.outcome(posted).await.unwrap();
    let opened = approval("a", "s");
    store.open_approval(&lease, &opened, TIME).await.unwrap();
    let id = opened.approval.id.clone();
    other.open_approvals(None).await.unwrap();
    other.open_approvals(Some(&name())).await.unwrap();
    let answer = Answer::plain(Decision::Accept);
    let given = AnswerRecord { answer, by: "a person".into(), remark: None };
    other.answer_approval(&id, &given).await.unwrap();
    store.inbox(&lease, MessageId::default()).await.unwrap();
    store.settle_approval(&lease, &id, ApprovalState::Settled).await.unwrap();
    let rollout = RolloutRecord {
        thread: ThreadId("t".into()),
        path: "p".into(),
        bytes: 1,
        digest: "d".into(),
        turn: 1,
        lacks: None,
    };
    let part = Some(RolloutPart { start: 0, data: b"x".to_vec() });
    let kept = KeptRollout { record: rollout.clone(), part };
    store.keep_rollouts(&lease, &[kept]).await.unwrap();
    store.rollouts(&name()).await.unwrap();
    store.rollout_parts(&name(), &rollout.thread).await.unwrap();
    record.revision += 1;
    record.status = SessionStatus::Completed;
    store.commit(&lease, &record, Turns::Put(&turn(1, SessionStatus::Completed))).await.unwrap();
    store.collect(&name(), 1).await.unwrap();
    store.release(&lease).await.unwrap();
    other.call_off(&name(), ticket.unwrap(), &waiting.details).await.unwrap();
    other.turn(&name(), 1, 0).await.unwrap();
    other.load(&name(), now).await.unwrap();
    other.turns(&name(), 0, 9, Excerpt::ALL).await.unwrap();
    other.of_thread(&ThreadId("thread7".into()), now).await.unwrap();
    let first = other.list(&Page::first(50), now).await.unwrap();
    let next = Page { after: first.next, ..Page::first(50) };
    assert_eq!(other.list(&next, now).await.unwrap().sessions.len(), 50);
    let message = ForwardedMessage { mcp_session: "h7".into(), message: None };
    store.forward("m7", Some("m8"), &message).await.unwrap();
    assert_eq!(other.take_forwarded("m8").await.unwrap().len(), 2);
    store.subscribe("h7", "v", true).await.unwrap();
    assert_eq!(other.subscriptions("h7").await.unwrap(), ["u", "v"]);
    store.sweep(now).await.unwrap();
    let (lease, _) = claimed(store, now).await;
    store.delete(&lease).await.unwrap();
}

#[tokio::test]
async fn nothing_that_happens_often_reads_everything() {
    let url = Postgres::shared().database().await;
    // Only where no index will do is a table read from end to end.
    let database = url.rsplit('/').next().unwrap();
    Postgres::execute(&url, &format!("ALTER DATABASE {database} SET enable_seqscan = off")).await;
    let pool = PostgresPool::new(&url, None).unwrap();
    let store = SqlStore::in_postgres(&pool, "t").await.unwrap();
    let other = SqlStore::in_postgres(&pool, "t").await.unwrap();
    let now = Timestamp::now();
    let pattern = SessionRecord::new("seed".parse().unwrap(), false, now, TIME);
    store.create(&pattern, None, 9, now).await.unwrap();
    for fill in FILL {
        Postgres::execute(&url, &fill.replace("$1", &MANY.to_string())).await;
    }
    for prepare in ["ANALYZE", "SELECT pg_stat_reset()"] {
        Postgres::execute(&url, prepare).await;
    }
    converse(&store, &other).await;
    drop((store, other, pool));
    let counted = PgPool::connect(&url).await.unwrap();
    // It counts some moments later.
    let seen: i64 = loop {
        let seen = sqlx::query_scalar(
            "SELECT coalesce(sum(idx_tup_read), 0)::bigint FROM pg_stat_user_indexes WHERE relname = 'turns'",
        );
        match seen.fetch_one(&counted).await.unwrap() {
            0 => tokio::time::sleep(Duration::from_millis(50)).await,
            seen => break seen,
        }
    };
    assert!(seen > 0);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let tables: Vec<(String, i64, i64)> = sqlx::query_as(
        "SELECT t.relname::text, t.seq_tup_read, coalesce(sum(i.idx_tup_read), 0)::bigint \
         FROM pg_stat_user_tables t LEFT JOIN pg_stat_user_indexes i USING (relid) \
         WHERE t.relname <> '_sqlx_migrations' GROUP BY 1, 2",
    )
    .fetch_all(&counted)
    .await
    .unwrap();
    for (table, scanned, by_index) in &tables {
        assert_eq!(*scanned, 0, "{table} is read from end to end: {tables:?}");
        assert!(*by_index < FEW, "{table} is read in large parts: {tables:?}");
    }
}
