//! A store that cannot be used is named; the rest works; nothing is lost silently.

use std::fs;

use serde_json::json;
use sqlx::SqlitePool;

use crate::support::World;

async fn sql(world: &World, statement: &'static str) {
    let file = format!("sqlite://{}", world.home.store().display());
    let pool = SqlitePool::connect(&file).await.unwrap();
    sqlx::query(statement).execute(&pool).await.unwrap();
    pool.close().await;
}

#[tokio::test]
async fn a_damaged_session_is_named_and_can_be_deleted() {
    let world = World::new().await;
    let server = world.server().await;
    for name in ["good", "bad"] {
        server.call("codex", json!({"prompt": "say hi", "sessionId": name})).await.ok();
    }
    server.close().await;
    sql(&world, "UPDATE sessions SET settings = '{' WHERE name = 'bad'").await;

    let server = world.launch().alone().connect().await;
    let listed = server.call("listSessions", json!({})).await.ok();
    assert_eq!(listed["sessions"].as_array().unwrap().len(), 1);
    assert!(listed["warnings"].to_string().contains("`bad` is damaged"), "{}", listed.raw);
    let bad = json!({"prompt": "say hi", "sessionId": "bad"});
    let failed = server.call("codex", bad.clone()).await.failed_with("session_damaged");
    assert!(
        failed.text.contains("`bad`") && failed.text.contains("deleteSession"),
        "{}",
        failed.text
    );
    server.call("codex", json!({"prompt": "history", "sessionId": "good"})).await.ok();
    server.call("deleteSession", json!({"sessionId": "bad"})).await.ok();
    server.call("codex", bad).await.ok();
    assert!(server.stderr().contains("bad"), "{}", server.stderr());
}

#[tokio::test]
async fn a_newer_store_is_left_alone() {
    let world = World::new().await;
    let server = world.server().await;
    server.call("codex", json!({"prompt": "say hi", "sessionId": "s"})).await.ok();
    server.close().await;
    sql(
        &world,
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (9999, 'newer', 1, x'00', 0)",
    )
    .await;
    let server = world.server().await;
    let failed = server.call("listSessions", json!({})).await.failed_with("store_too_new");
    assert!(failed.text.contains("sessions.sqlite3"), "{}", failed.text);
    server.call("codex", json!({"prompt": "say hi"})).await.failed_with("store_too_new");
    server.call("ping", json!({})).await.ok();
    assert!(world.model.requests().len() == 1, "nothing was asked that could not be recorded");
}

#[tokio::test]
async fn a_store_of_before_the_first_release_is_left_alone() {
    let world = World::new().await;
    let server = world.server().await;
    server.call("codex", json!({"prompt": "say hi", "sessionId": "s"})).await.ok();
    server.close().await;
    sql(&world, "UPDATE _sqlx_migrations SET checksum = x'00' WHERE version = 1").await;
    let server = world.server().await;
    let failed = server.call("codex", json!({"prompt": "say hi"})).await;
    let failed = failed.failed_with("store_too_old");
    assert!(failed.text.contains("sessions.sqlite3"), "{}", failed.text);
}

#[tokio::test]
async fn a_server_that_hangs_in_a_write_keeps_no_other_from_reading() {
    let world = World::new().await;
    let server = world.server().await;
    server.call("codex", json!({"prompt": "say hi", "sessionId": "s"})).await.ok();
    server.close().await;
    let file = format!("sqlite://{}", world.home.store().display());
    let pool = SqlitePool::connect(&file).await.unwrap();
    let writes = pool.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let server = world.launch().alone().connect().await;
    let listed = server.call("listSessions", json!({})).await.ok();
    assert_eq!(listed["sessions"][0]["id"], "s", "{}", listed.raw);
    let call = json!({"prompt": "say no", "sessionId": "s"});
    server.call("codex", call).await.failed_with("store_unavailable");
    writes.rollback().await.unwrap();
    server.call("codex", json!({"prompt": "say on", "sessionId": "s"})).await.ok();
}

#[tokio::test]
async fn a_store_that_cannot_be_made_is_named_and_tried_again() {
    let world = World::new().await;
    let obstacle = world.home.path().join("obstacle");
    fs::write(&obstacle, "").unwrap();
    let path = obstacle.join("sessions.sqlite3");
    let server = world.launch().alone().args(["--store", path.to_str().unwrap()]).connect().await;
    let failed =
        server.call("codex", json!({"prompt": "say hi"})).await.failed_with("store_unavailable");
    assert!(failed.text.contains(path.to_str().unwrap()), "{}", failed.text);
    assert!(failed.text.contains("--store memory"), "{}", failed.text);
    server.call("help", json!({})).await.ok();
    server.call("listModels", json!({})).await.ok();
    assert!(server.stderr().contains("sessions cannot be kept"), "{}", server.stderr());
    // Mended while we run.
    fs::remove_file(&obstacle).unwrap();
    server.call("codex", json!({"prompt": "say hi"})).await.ok();
}

#[tokio::test]
async fn a_file_that_is_no_database_is_left_alone() {
    let world = World::new().await;
    let path = world.home.path().join("precious.txt");
    let words = "something precious that is not a database at all, and long enough for a header\n";
    fs::write(&path, words.repeat(20)).unwrap();
    let server = world.launch().args(["--store", path.to_str().unwrap()]).connect().await;
    let failed = server.call("listSessions", json!({})).await.failed_with("store_corrupt");
    // The cause is said once, and the next step is one for this case.
    assert_eq!(failed.text.matches("file is not a database").count(), 1, "{}", failed.text);
    assert!(failed.text.contains("Move the file away"), "{}", failed.text);
    assert_eq!(fs::read_to_string(&path).unwrap(), words.repeat(20));
}

#[tokio::test]
async fn memory_forgets_and_says_nothing_on_disk() {
    let world = World::new().await;
    let launch = world.launch().args(["--store", "memory"]);
    let server = launch.connect().await;
    server.call("codex", json!({"prompt": "say hi", "sessionId": "s"})).await.ok();
    let next = server.call("codex", json!({"prompt": "history", "sessionId": "s"})).await.ok();
    assert_eq!(next["response"], "say hi");
    server.close().await;
    assert!(!world.home.store().exists());
    let server = launch.connect().await;
    let listed = server.call("listSessions", json!({})).await.ok();
    assert_eq!(listed["sessions"], json!([]));
}
