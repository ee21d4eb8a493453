//! What a listing shows and finds.

use serde_json::json;
use testkit::Client;

use crate::support::World;

async fn listed(server: &Client, arguments: serde_json::Value) -> Vec<String> {
    let listed = server.call("listSessions", arguments).await.ok();
    let sessions = listed["sessions"].as_array().unwrap().iter();
    sessions.map(|session| session["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_listing_names_what_the_last_turn_ran_with() {
    let world = World::new().await;
    let server = world.server().await;
    let call = json!({"prompt": "say one", "sessionId": "s"});
    let ran = server.call("codex", call).await.ok();
    let listed = server.call("listSessions", json!({})).await.ok();
    for field in ["model", "sandbox", "approvalPolicy", "workingDirectory"] {
        assert!(ran[field].is_string(), "{field}: {}", ran.raw);
        assert_eq!(listed["sessions"][0][field], ran[field], "{field}");
    }
}

#[tokio::test]
async fn a_search_ignores_case_in_every_script() {
    let world = World::new().await;
    let server = world.server().await;
    for (session, prompt) in [("a", "say Größe ÄRGER"), ("b", "say Привет"), ("c", "say size")]
    {
        server.call("codex", json!({"prompt": prompt, "sessionId": session})).await.ok();
    }
    for (search, found) in [("größe", "a"), ("ärger", "a"), ("ПРИВЕТ", "b"), ("SIZE", "c")]
    {
        assert_eq!(listed(&server, json!({"search": search})).await, [found], "{search}");
    }
}

#[tokio::test]
async fn a_directory_selects_sessions_too() {
    let world = World::new().await;
    let server = world.server().await;
    let other = world.home.path().join("other");
    std::fs::create_dir(&other).unwrap();
    server.call("codex", json!({"prompt": "say one", "sessionId": "here"})).await.ok();
    let there = json!({"prompt": "say one", "sessionId": "there", "workingDirectory": other});
    server.call("codex", there).await.ok();
    assert_eq!(listed(&server, json!({"workingDirectory": other})).await, ["there"]);
}
