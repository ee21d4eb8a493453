//! What continues, what begins anew, and what is rebuilt.

use std::fs;

use serde_json::json;
use testkit::{Client, ToolResult};

use crate::support::World;

async fn ask(server: &Client, session: &str, prompt: &str) -> ToolResult {
    server.call("codex", json!({"prompt": prompt, "sessionId": session})).await
}

#[tokio::test]
async fn without_a_name_a_session_is_made_and_named() {
    let world = World::new().await;
    let server = world.server().await;
    let first = server.call("codex", json!({"prompt": "say a"})).await.ok();
    let name = first["sessionId"].as_str().unwrap();
    assert_eq!(name.len(), 36, "{name}");
    let second = ask(&server, name, "history").await.ok();
    assert_eq!(second["response"], "say a");
}

#[tokio::test]
async fn a_reset_forgets_what_was_said_and_keeps_what_was_chosen() {
    let world = World::new().await;
    let server = world.server().await;
    let chosen =
        json!({"prompt": "say a", "sessionId": "s", "model": "gpt-x", "reasoningEffort": "high"});
    let first = server.call("codex", chosen).await.ok();
    let reset = json!({"prompt": "history", "sessionId": "s", "resetSession": true});
    let second = server.call("codex", reset).await.ok();
    assert_eq!((&second["response"], &second["continuity"]), (&json!(""), &json!("new")));
    // Its number goes on: no `wait` can mean another turn than it says.
    assert_eq!((&second["turn"], &second["model"]), (&json!(2), &json!("gpt-x")));
    let read = server.call("getSession", json!({"sessionId": "s"})).await.ok();
    assert_eq!(
        (&read["session"]["turnCount"], &read["turns"][0]["number"]),
        (&json!(1), &json!(2))
    );
    let gone = server.call("wait", json!({"sessionId": "s", "turn": 1})).await;
    gone.failed_with("unknown_turn");
    let gone = server.call("getSession", json!({"sessionId": "s", "turn": 1})).await;
    let gone = gone.failed_with("invalid_argument");
    assert!(gone.text.contains("a reset cleared"), "{}", gone.raw);
    let fork = json!({"sessionId": "s", "newSessionId": "t", "turn": 1});
    server.call("forkSession", fork).await.failed_with("unknown_turn");
    assert_ne!(second["threadId"], first["threadId"]);
    let seen = world.model.request_for("history").unwrap();
    assert_eq!((seen.model(), seen.effort()), ("gpt-x", Some("high")));
}

#[tokio::test]
async fn a_reset_that_cannot_begin_forgets_nothing() {
    let world = World::new().await;
    let server = world.server().await;
    ask(&server, "s", "say one").await.ok();
    let bad = json!({"prompt": "x", "sessionId": "s", "resetSession": true, "workingDirectory": "/no/such"});
    server.call("codex", bad).await.failed_with("directory_unusable");
    server.close().await;
    let server = world.launch().env("CODEX_BIN", "/no/such/codex").connect().await;
    let reset = json!({"prompt": "x", "sessionId": "s", "resetSession": true});
    server.call("codex", reset).await.failed_with("codex_not_found");
    let fresh = json!({"prompt": "x", "sessionId": "never"});
    server.call("codex", fresh).await.failed_with("codex_not_found");
    let listed = server.call("listSessions", json!({})).await.ok();
    assert_eq!(listed["sessions"].as_array().unwrap().len(), 1, "{}", listed.raw);
    server.close().await;
    let server = world.server().await;
    let kept = ask(&server, "s", "history").await.ok();
    assert_eq!((&kept["response"], &kept["turn"]), (&json!("say one"), &json!(2)));
}

#[tokio::test]
async fn a_thread_codex_has_lost_is_rebuilt_and_said_to_be() {
    let world = World::new().await;
    let server = world.server().await;
    let mut first = String::new();
    for prompt in ["say one", "say two", "say three"] {
        first = ask(&server, "s", prompt).await.ok()["threadId"].as_str().unwrap().to_owned();
    }
    server.close().await;
    fs::remove_dir_all(world.home.codex_home().join("sessions")).unwrap();
    for name in ["state_5.sqlite", "state_5.sqlite-wal", "state_5.sqlite-shm"] {
        let _ = fs::remove_file(world.home.codex_home().join(name));
    }

    let server = world.server().await;
    let rebuilt = ask(&server, "s", "history").await.ok();
    assert_eq!(rebuilt["continuity"], "rebuilt");
    assert_eq!(rebuilt["response"], "say two\nsay three");
    assert_ne!(rebuilt["threadId"], first.as_str());
    let warnings = rebuilt["warnings"].to_string();
    assert!(warnings.contains("last 2 of 3 turns"), "{warnings}");
    assert!(rebuilt.text.contains("last 2 of 3 turns"), "{}", rebuilt.text);
    let seen = world.model.request_for("history").unwrap();
    assert_eq!(seen.answers(), ["two", "three"]);
    // From here on it is an ordinary thread.
    let next = ask(&server, "s", "history").await.ok();
    assert_eq!((&next["continuity"], &next["turn"]), (&json!("resumed"), &json!(5)));
}

#[tokio::test]
async fn a_damaged_rollout_is_rebuilt_too() {
    let world = World::new().await;
    let server = world.server().await;
    ask(&server, "s", "say one").await.ok();
    server.close().await;
    let rollouts = find_rollouts(&world.home.codex_home().join("sessions"));
    assert_eq!(rollouts.len(), 1);
    fs::write(&rollouts[0], "this is no rollout\n").unwrap();

    let server = world.server().await;
    let rebuilt = ask(&server, "s", "history").await.ok();
    assert_eq!(
        (&rebuilt["continuity"], &rebuilt["response"]),
        (&json!("rebuilt"), &json!("say one"))
    );
}

#[tokio::test]
async fn a_transcript_is_kept_and_read_in_pages() {
    let world = World::new().await;
    let server = world.server().await;
    for prompt in ["say one", "say two", "status 500", "run exit 3"] {
        ask(&server, "s", prompt).await;
    }
    let whole = server.call("getSession", json!({"sessionId": "s"})).await.ok();
    let turns = whole["turns"].as_array().unwrap();
    let statuses: Vec<_> = turns.iter().map(|turn| turn["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["completed", "completed", "failed", "completed"]);
    assert_eq!((&turns[0]["prompt"], &turns[0]["response"]), (&json!("say one"), &json!("one")));
    assert!(turns[2]["error"].as_str().unwrap().contains("high demand"), "{}", turns[2]);
    assert_eq!(whole["session"]["turnCount"], 4);
    let page =
        server.call("getSession", json!({"sessionId": "s", "offset": 1, "limit": 2})).await.ok();
    assert_eq!((&page["turns"][0]["number"], &page["nextOffset"]), (&json!(2), &json!(3)));
    let _ = server
        .call("getSession", json!({"sessionId": "none"}))
        .await
        .failed_with("unknown_session");
}

#[tokio::test]
async fn an_answer_too_big_for_a_result_is_read_in_parts() {
    let world = World::new().await;
    let server = world.launch().args(["--set", "limits.result_characters=1000"]).connect().await;
    let cut = ask(&server, "s", "big 4096").await.ok();
    assert_eq!(cut["truncated"], true);
    assert_eq!(cut["response"].as_str().unwrap().len(), 1000);
    assert!(cut.text.contains("cut at 1000 of 4096 characters"), "{}", cut.text);
    let (mut whole, mut offset) = (String::new(), json!(0));
    while !offset.is_null() {
        let part = json!({"sessionId": "s", "turn": 1, "offset": offset});
        let part = server.call("getSession", part).await.ok();
        whole.push_str(part["turns"][0]["response"].as_str().unwrap());
        offset = part["nextOffset"].clone();
    }
    assert_eq!(whole, "0123456789abcdef".repeat(256));
}

#[tokio::test]
async fn a_deleted_session_is_gone_and_its_name_free() {
    let world = World::new().await;
    let server = world.server().await;
    let first = ask(&server, "s", "say one").await.ok();
    let deleted = server.call("deleteSession", json!({"sessionId": "s"})).await.ok();
    assert_eq!(deleted["deleted"], true);
    let _ = server
        .call("deleteSession", json!({"sessionId": "s"}))
        .await
        .failed_with("unknown_session");
    let again = ask(&server, "s", "history").await.ok();
    assert_eq!((&again["continuity"], &again["response"]), (&json!("new"), &json!("")));
    assert_ne!(again["threadId"], first["threadId"]);
}

fn find_rollouts(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        if entry.path().is_dir() {
            found.extend(find_rollouts(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found
}
