//! Several servers, one store: every client starts its own.

use std::sync::Arc;

use serde_json::json;
use testkit::{ToolResult, wait_for};

use crate::support::World;

#[tokio::test]
async fn a_second_server_continues_natively_while_the_first_still_has_the_thread() {
    let world = World::new().await;
    // The first keeps its threads for a minute, unless somebody wants them.
    let first = world.launch().args(["--set", "codex.release_after=1m"]).connect().await;
    let second = world.server().await;
    first.call("codex", json!({"prompt": "say one", "sessionId": "s"})).await.ok();
    second.call("codex", json!({"prompt": "say warm", "sessionId": "other"})).await.ok();
    let reply = second.call("codex", json!({"prompt": "history", "sessionId": "s"})).await.ok();
    assert_eq!((&reply["response"], &reply["continuity"]), (&json!("say one"), &json!("resumed")));
    // And the other way round, at once.
    let back = first.call("codex", json!({"prompt": "history", "sessionId": "s"})).await.ok();
    assert_eq!(
        (&back["response"], &back["continuity"]),
        (&json!("say one\nhistory"), &json!("resumed"))
    );
}

#[tokio::test]
async fn a_call_waits_for_the_turn_another_server_runs() {
    let world = World::new().await;
    let (first, second) = (world.server().await, world.server().await);
    let slow = json!({"name": "codex", "arguments": {"prompt": "slow 1 first", "sessionId": "s"}});
    let (_, running) = first.begin("tools/call", slow).await;
    wait_for("the turn to run", || (world.model.open_streams() == 1).then_some(())).await;
    let listed = second.call("listSessions", json!({})).await.ok();
    assert_eq!(listed["sessions"][0]["status"], "running");
    let reply = second.call("codex", json!({"prompt": "history", "sessionId": "s"})).await.ok();
    assert_eq!((&reply["response"], &reply["turn"]), (&json!("slow 1 first"), &json!(2)));
    let first = ToolResult::from_response("codex", &running.wait("codex").await).ok();
    assert_eq!((&first["response"], &first["turn"]), (&json!("first"), &json!(1)));
}

#[tokio::test]
async fn a_server_that_was_killed_in_mid_turn_is_taken_over() {
    let world = World::new().await;
    let (first, second) = (world.server().await, world.server().await);
    first.call("codex", json!({"prompt": "say one", "sessionId": "s"})).await.ok();
    let slow = json!({"name": "codex", "arguments": {"prompt": "slow 60 never", "sessionId": "s"}});
    let (_, _lost) = first.begin("tools/call", slow).await;
    wait_for("the turn to run", || (world.model.open_streams() == 1).then_some(())).await;
    first.signal("KILL").await;
    let reply = second.call("codex", json!({"prompt": "history", "sessionId": "s"})).await.ok();
    assert_eq!(reply["continuity"], "resumed");
    assert_eq!(reply["response"], "say one\nslow 60 never");
    let kept = second.call("getSession", json!({"sessionId": "s"})).await.ok();
    let statuses: Vec<_> =
        kept["turns"].as_array().unwrap().iter().map(|turn| &turn["status"]).collect();
    assert_eq!(statuses, ["completed", "interrupted", "completed"]);
}

#[tokio::test]
async fn servers_started_at_once_make_one_store() {
    let world = Arc::new(World::new().await);
    let starts = (0..4).map(|number| {
        let world = Arc::clone(&world);
        tokio::spawn(async move {
            let server = world.server().await;
            let session = format!("s{number}");
            server.call("codex", json!({"prompt": "say hi", "sessionId": session})).await.ok();
            server
        })
    });
    let starts: Vec<_> = starts.collect();
    let mut servers = Vec::new();
    for start in starts {
        servers.push(start.await.unwrap());
    }
    let listed = servers[0].call("listSessions", json!({})).await.ok();
    assert_eq!(listed["sessions"].as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn a_session_another_server_rests_on_can_be_deleted() {
    let world = World::new().await;
    let first = world.launch().args(["--set", "codex.release_after=1m"]).connect().await;
    let second = world.server().await;
    let _ = first.call("codex", json!({"prompt": "say one", "sessionId": "s"})).await.ok();
    let _ = second.call("deleteSession", json!({"sessionId": "s"})).await.ok();
    let again = first.call("codex", json!({"prompt": "history", "sessionId": "s"})).await.ok();
    assert_eq!((&again["continuity"], &again["response"]), (&json!("new"), &json!("")));
}
