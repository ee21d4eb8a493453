//! Our names are Codex's: a session's thread carries its name, in a terminal and in Codex's own lists.

use serde_json::{Value, json};
use testkit::{CODEX_VERSION, Client, codex_cli, wait_for};

use crate::support::{World, in_a_terminal};

/// Codex's own answer to `prompt` in the thread of this name, as in a terminal.
async fn resumed_by_name(world: &World, name: &str, prompt: &str) -> String {
    let output = tokio::process::Command::new(codex_cli::fetch(CODEX_VERSION).unwrap())
        .args(["exec", "--skip-git-repo-check", "resume", name, "--", prompt])
        .env_clear()
        .envs(world.home.env())
        .current_dir(world.home.work())
        .stdin(std::process::Stdio::null())
        .output()
        .await
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Waits until a thread has this name: it is given after the answer, so that nobody waits for it.
async fn named(world: &World, name: &str) {
    let home = world.home.codex_home();
    wait_for("the thread to be named", || {
        let index = std::fs::read_to_string(home.join("session_index.jsonl")).ok()?;
        index.contains(&format!("\"{name}\"")).then_some(())
    })
    .await;
}

async fn title(server: &Client, session: &Value) -> Value {
    let listed = server.call("listSessions", json!({})).await.ok();
    let sessions = listed["sessions"].as_array().unwrap();
    sessions.iter().find(|listed| listed["id"] == *session).unwrap()["title"].clone()
}

#[tokio::test]
async fn a_thread_carries_the_name_of_its_session() {
    let world = World::new().await;
    let server = world.server().await;
    server.call("codex", json!({"prompt": "say one", "sessionId": "auth-review"})).await.ok();
    named(&world, "auth-review").await;
    server.close().await;
    assert_eq!(resumed_by_name(&world, "auth-review", "history").await.trim(), "say one");
}

#[tokio::test]
async fn renaming_here_renames_there() {
    let world = World::new().await;
    let server = world.server().await;
    server.call("codex", json!({"prompt": "say one", "sessionId": "first"})).await.ok();
    let rename = json!({"sessionId": "first", "newSessionId": "second"});
    let renamed = server.call("renameSession", rename.clone()).await.ok();
    assert_eq!((&renamed["session"]["id"], &renamed["warnings"]), (&json!("second"), &json!([])));
    server.call("renameSession", rename).await.failed_with("unknown_session");
    server.call("getSession", json!({"sessionId": "first"})).await.failed_with("unknown_session");
    named(&world, "second").await;
    // It is the same conversation, and its turns have come along.
    let next = server.call("codex", json!({"prompt": "history", "sessionId": "second"})).await.ok();
    assert_eq!(
        (&next["response"], &next["continuity"], &next["turn"]),
        (&json!("say one"), &json!("resumed"), &json!(2))
    );
    server.close().await;
    let told = resumed_by_name(&world, "second", "history").await;
    assert_eq!(told.trim(), "say one\nhistory");
}

#[tokio::test]
async fn a_name_that_is_taken_or_in_use_stays() {
    let world = World::new().await;
    let server = world.server().await;
    for name in ["a", "b"] {
        server.call("codex", json!({"prompt": "say x", "sessionId": name})).await.ok();
    }
    let rename = async |old: &str, new: &str| {
        server.call("renameSession", json!({"sessionId": old, "newSessionId": new})).await
    };
    rename("a", "b").await.failed_with("session_exists");
    rename("a", "no good").await.failed_with("invalid_argument");
    assert_eq!(rename("a", "a").await.ok()["session"]["id"], "a");
    let slow = json!({"prompt": "slow 20 late", "sessionId": "a", "waitSeconds": 0});
    server.call("codex", slow).await.ok();
    rename("a", "c").await.failed_with("session_busy");
    server.call("interrupt", json!({"sessionId": "a"})).await.ok();
    assert_eq!(rename("a", "c").await.ok()["session"]["id"], "c");
    // Another server sees it at once.
    let other = world.launch().alone().connect().await;
    let next = other.call("codex", json!({"prompt": "history", "sessionId": "c"})).await.ok();
    assert_eq!(next["continuity"], "resumed");
}

#[tokio::test]
async fn a_made_up_name_has_a_title() {
    let world = World::new().await;
    let server = world.server().await;
    let prompt = "# Find out why\nsay one";
    let first = server.call("codex", json!({"prompt": prompt})).await.ok();
    assert_eq!(title(&server, &first["sessionId"]).await, "Find out why");
    named(&world, "Find out why").await;
    let fork = json!({"sessionId": first["sessionId"]});
    let fork = server.call("forkSession", fork).await.ok();
    assert_eq!(fork["session"]["title"], "Find out why");
    let fork = json!({"sessionId": first["sessionId"], "newSessionId": "mine"});
    let fork = server.call("forkSession", fork).await.ok();
    assert!(fork["session"]["title"].is_null());
    named(&world, "mine").await;
    server.call("codex", json!({"prompt": "say one", "sessionId": "chosen"})).await.ok();
    assert!(title(&server, &json!("chosen")).await.is_null());
}

#[tokio::test]
async fn a_thread_that_was_the_users_keeps_its_name() {
    let world = World::new().await;
    let thread = in_a_terminal(&world, "say from the terminal").await;
    let server = world.server().await;
    server.call("codex", json!({"prompt": "say here", "sessionId": thread})).await.ok();
    server.close().await;
    let index = std::fs::read_to_string(world.home.codex_home().join("session_index.jsonl"));
    assert!(!index.unwrap_or_default().contains(&thread), "it was given a name");
}

#[tokio::test]
async fn an_older_codex_has_no_names_and_nothing_fails() {
    let world = World::new().await;
    let codex = codex_cli::fetch("0.50.0").unwrap();
    let server = world.launch().env("CODEX_BIN", codex.to_string_lossy()).connect().await;
    server.call("codex", json!({"prompt": "say one", "sessionId": "a"})).await.ok();
    let renamed =
        server.call("renameSession", json!({"sessionId": "a", "newSessionId": "b"})).await;
    let renamed = renamed.ok();
    assert!(renamed.raw.to_string().contains("0.50.0"), "{}", renamed.raw);
    let next = server.call("codex", json!({"prompt": "history", "sessionId": "b"})).await.ok();
    assert_eq!(next["response"], "say one");
}
