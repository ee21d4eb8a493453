//! How long sessions live and how many.

use jiff::Timestamp;
use serde_json::json;
use testkit::{Client, wait_for};

use crate::support::World;

async fn names(server: &Client) -> Vec<String> {
    let listed = server.call("listSessions", json!({})).await.ok();
    let sessions = listed["sessions"].as_array().unwrap().clone();
    sessions.iter().map(|session| session["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_session_that_is_not_used_expires() {
    let world = World::new().await;
    let server = world.launch().args(["--set", "session.ttl=2s"]).connect().await;
    server.call("codex", json!({"prompt": "say a", "sessionId": "s"})).await.ok();
    assert_eq!(names(&server).await, ["s"]);
    let expires = server.call("getSession", json!({"sessionId": "s"})).await.ok();
    let expires: Timestamp = expires["session"]["expiresAt"].as_str().unwrap().parse().unwrap();
    wait_for("the expiry to pass", || (Timestamp::now() > expires).then_some(())).await;
    assert!(names(&server).await.is_empty());
    let fresh = server.call("codex", json!({"prompt": "history", "sessionId": "s"})).await.ok();
    assert_eq!((&fresh["continuity"], &fresh["response"]), (&json!("new"), &json!("")));
}

#[tokio::test]
async fn at_the_cap_automatic_names_go_before_chosen_ones() {
    let world = World::new().await;
    let server = world.launch().args(["--set", "session.cap=3"]).connect().await;
    for name in ["first", "second"] {
        server.call("codex", json!({"prompt": "say a", "sessionId": name})).await.ok();
    }
    let automatic = server.call("codex", json!({"prompt": "say a"})).await.ok();
    assert_eq!(names(&server).await, [automatic["sessionId"].as_str().unwrap(), "second", "first"]);
    server.call("codex", json!({"prompt": "say a", "sessionId": "third"})).await.ok();
    assert_eq!(names(&server).await, ["third", "second", "first"]);
    server.call("codex", json!({"prompt": "say a", "sessionId": "first"})).await.ok();
    server.call("codex", json!({"prompt": "say a", "sessionId": "fourth"})).await.ok();
    assert_eq!(names(&server).await, ["fourth", "first", "third"]);
}

#[tokio::test]
async fn a_session_with_a_turn_running_is_never_evicted() {
    let world = World::new().await;
    let server = world.launch().args(["--set", "session.cap=1"]).connect().await;
    let slow =
        json!({"name": "codex", "arguments": {"prompt": "slow 30 done", "sessionId": "busy"}});
    let (_, _running) = server.begin("tools/call", slow).await;
    wait_for("the turn to run", || (world.model.open_streams() > 0).then_some(())).await;
    let full = server.call("codex", json!({"prompt": "say a", "sessionId": "other"})).await;
    full.failed_with("too_many_sessions");
    let busy = server.call("deleteSession", json!({"sessionId": "busy"})).await;
    busy.failed_with("session_busy");
    let listed = server.call("listSessions", json!({})).await.ok();
    assert_eq!(listed["sessions"][0]["status"], "running");
}

#[tokio::test]
async fn listings_have_every_session_in_pages() {
    let world = World::new().await;
    let server = world.server().await;
    for number in 0..5 {
        let call = json!({"prompt": "say a", "sessionId": format!("s{number}"), "model": "gpt-x"});
        server.call("codex", call).await.ok();
    }
    let (mut seen, mut cursor) = (Vec::new(), json!(null));
    loop {
        let page = server.call("listSessions", json!({"limit": 2, "cursor": cursor})).await.ok();
        for session in page["sessions"].as_array().unwrap() {
            seen.push(session["id"].as_str().unwrap().to_owned());
            assert_eq!(session["threadId"], session["codexConversationId"]);
            assert_eq!((&session["turnCount"], &session["model"]), (&json!(1), &json!("gpt-x")));
            assert_eq!(session["usage"]["totalTokens"], 120);
            for time in ["createdAt", "lastAccessedAt", "expiresAt"] {
                assert!(session[time].as_str().unwrap().ends_with('Z'), "{session}");
            }
        }
        cursor = page["nextCursor"].clone();
        if cursor.is_null() {
            break;
        }
    }
    assert_eq!(seen, ["s4", "s3", "s2", "s1", "s0"]);
}
