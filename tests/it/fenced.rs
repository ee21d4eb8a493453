//! Leases that hold: a server that hangs loses its sessions and writes nothing afterwards.

use std::time::Duration;

use serde_json::json;
use testkit::{Client, ToolResult, process, wait_for};

use crate::support::World;

/// Stops or continues a server with everything it has started, as the suspension of a machine does.
async fn signal_all(server: &Client, signal: &str) {
    let below = process::descendants(server.pid());
    for pid in below.into_iter().chain([server.pid()]) {
        testkit::client::signal(pid, signal).await;
    }
}

async fn turns(server: &Client) -> Vec<(String, String)> {
    let read = server.call("getSession", json!({"sessionId": "s"})).await.ok();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let turns = read["turns"].as_array().unwrap().iter();
    turns.map(|turn| (text(&turn["status"]), text(&turn["response"]))).collect()
}

#[tokio::test]
async fn a_server_that_was_suspended_for_too_long_writes_nothing_any_more() {
    let world = World::new().await;
    let launch = world.launch().alone().args(["--set", "session.lease=2s"]);
    let (first, second) = (launch.connect().await, launch.connect().await);
    first.call("codex", json!({"prompt": "say one", "sessionId": "s"})).await.ok();
    let slow = json!({"name": "codex", "arguments": {"prompt": "slow 4 never recorded", "sessionId": "s"}});
    let (_, running) = first.begin("tools/call", slow).await;
    wait_for("the turn to run", || (world.model.open_streams() == 1).then_some(())).await;
    signal_all(&first, "STOP").await;
    // Others see the turn end when its lease has run out.
    let ended = second.call("wait", json!({"sessionId": "s"})).await.failed_with("interrupted");
    assert_eq!(ended["turn"], 2);
    // Its Codex still holds the thread; nobody writes to it meanwhile, and the cause is named.
    let held = second.call("codex", json!({"prompt": "say no", "sessionId": "s"})).await;
    held.failed_with("thread_in_use");
    let before = turns(&second).await;
    signal_all(&first, "CONT").await;
    let lost = ToolResult::from_response("codex", &running.wait("codex").await);
    let lost = lost.failed_with("lease_lost");
    assert!(lost.text.contains("getSession"), "{}", lost.text);
    assert_eq!(turns(&second).await, before);
    // The thread is free again, with all that was said in it.
    let next = server_gets_the_thread(&second).await;
    assert_eq!(next["continuity"], "resumed");
    let said = next["response"].as_str().unwrap();
    assert!(said.starts_with("say one\nslow 4 never recorded"), "{said}");
    // The first server goes on with what is recorded.
    let after = first.call("codex", json!({"prompt": "say on", "sessionId": "s"})).await.ok();
    assert_eq!(after["turn"], json!(before.len() + 2));
}

async fn server_gets_the_thread(server: &Client) -> ToolResult {
    for _ in 0..20 {
        let next = server.call("codex", json!({"prompt": "history", "sessionId": "s"})).await;
        if next["code"] != "thread_in_use" {
            return next.ok();
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    panic!("the thread is never released");
}

#[tokio::test]
async fn a_lease_is_kept_while_a_turn_takes_longer_than_it() {
    let world = World::new().await;
    let launch = world.launch().alone().args(["--set", "session.lease=1s"]);
    let (first, second) = (launch.connect().await, launch.connect().await);
    let slow = json!({"name": "codex", "arguments": {"prompt": "slow 4 done", "sessionId": "s"}});
    let (_, running) = first.begin("tools/call", slow).await;
    wait_for("the turn to run", || (world.model.open_streams() == 1).then_some(())).await;
    let next = second.call("codex", json!({"prompt": "history", "sessionId": "s"})).await.ok();
    assert_eq!((&next["response"], &next["turn"]), (&json!("slow 4 done"), &json!(2)));
    let first = ToolResult::from_response("codex", &running.wait("codex").await).ok();
    assert_eq!((&first["response"], &first["turn"]), (&json!("done"), &json!(1)));
}

#[tokio::test]
async fn clocks_that_disagree_by_minutes_take_nothing_away() {
    let world = World::new().await;
    let launch = world.launch().alone().args(["--set", "session.lease=2s"]);
    let first = launch.connect().await;
    let slow = json!({"name": "codex", "arguments": {"prompt": "slow 3 done", "sessionId": "s"}});
    let (_, running) = first.begin("tools/call", slow).await;
    wait_for("the turn to run", || (world.model.open_streams() == 1).then_some(())).await;
    // A server that believes it is an hour later: what it reads of the wall clock is no part of any lease.
    let file = format!("sqlite://{}", world.home.store().display());
    let pool = sqlx::SqlitePool::connect(&file).await.unwrap();
    let (until,): (i64,) =
        sqlx::query_as("SELECT lease_until FROM sessions").fetch_one(&pool).await.unwrap();
    pool.close().await;
    let hour = 60 * 60 * 1000;
    let wall = i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap();
    assert!((until - wall).abs() > hour, "a lease ends by the wall clock: {until}");
    ToolResult::from_response("codex", &running.wait("codex").await).ok();
}

#[tokio::test]
async fn a_store_that_is_removed_under_a_server_is_noticed() {
    let world = World::new().await;
    let server = world.server().await;
    server.call("codex", json!({"prompt": "say one", "sessionId": "s"})).await.ok();
    std::fs::remove_file(world.home.store()).unwrap();
    let next = server.call("codex", json!({"prompt": "say two", "sessionId": "s"})).await.ok();
    assert_eq!((&next["continuity"], &next["turn"]), (&json!("new"), &json!(1)));
    assert!(next["warnings"].to_string().contains("removed or replaced"), "{}", next.raw);
    // It is a store like any other from then on, also for others.
    let other = world.server().await;
    let listed = other.call("listSessions", json!({})).await.ok();
    assert_eq!(listed["sessions"][0]["id"], "s");
    let again = server.call("codex", json!({"prompt": "history", "sessionId": "s"})).await.ok();
    assert_eq!(
        (&again["response"], &again["warnings"].to_string().contains("removed")),
        (&json!("say two"), &false)
    );
}
