//! Goals of Codex's own: what it would begin by itself does not happen here, and is said.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};
use testkit::{CODEX_VERSION, codex_cli};

use crate::support::World;

/// Sets a goal on a thread as another program that uses Codex does.
fn set_goal(world: &World, thread: &str) {
    let codex = codex_cli::fetch(CODEX_VERSION).unwrap_or_else(|reason| panic!("{reason}"));
    let mut child = Command::new(codex)
        .arg("app-server")
        .env_clear()
        .envs(world.home.env())
        .current_dir(world.home.work())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (mut input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut lines = BufReader::new(output).lines();
    let client = json!({"clientInfo": {"name": "other", "version": "1"}, "capabilities": {"experimentalApi": true}});
    let goal = json!({"threadId": thread, "objective": "make it green", "status": "active"});
    for (id, method, params) in [(1, "initialize", client), (2, "thread/goal/set", goal)] {
        writeln!(input, "{}", json!({"id": id, "method": method, "params": params})).unwrap();
        let answer = loop {
            let line: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
            if line["id"] == id {
                break line;
            }
        };
        assert_eq!(answer["error"], Value::Null);
    }
    drop(input);
    child.wait().unwrap();
}

/// Sees to it that Codex begins nothing by itself.
async fn nothing_more_is_asked(world: &World) {
    let before = world.model.requests().len();
    // It would ask at once, and again and again.
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(world.model.requests().len(), before);
}

#[tokio::test]
async fn a_goal_of_a_thread_that_is_taken_is_paused() {
    let world = World::new().await;
    let server = world.launch().args(["--set", "codex.release_after=0s"]).connect().await;
    let first = server.call("codex", json!({"prompt": "say hi", "sessionId": "s"})).await.ok();
    set_goal(&world, first["threadId"].as_str().unwrap());
    let next = server.call("codex", json!({"prompt": "say on", "sessionId": "s"})).await.ok();
    assert_eq!((&next["response"], &next["continuity"]), (&json!("on"), &json!("resumed")));
    let warnings = next["warnings"].to_string();
    assert!(warnings.contains("make it green") && warnings.contains("/goal resume"), "{warnings}");
    nothing_more_is_asked(&world).await;
    let last = server.call("codex", json!({"prompt": "say end", "sessionId": "s"})).await.ok();
    assert_eq!((&last["turn"], &last["response"]), (&json!(3), &json!("end")));
    assert!(!last["warnings"].to_string().contains("goal"), "{}", last.raw);
}

#[tokio::test]
async fn a_goal_that_the_model_makes_is_paused_at_once() {
    let world = World::new().await;
    let server = world.server().await;
    let prompt = r#"call create_goal {"objective": "make it green"}"#;
    let made = server.call("codex", json!({"prompt": prompt, "sessionId": "s"})).await.ok();
    let warnings = made["warnings"].to_string();
    assert!(warnings.contains("make it green"), "{}", made.raw);
    nothing_more_is_asked(&world).await;
    let next = server.call("codex", json!({"prompt": "say on", "sessionId": "s"})).await.ok();
    assert_eq!((&next["turn"], &next["response"]), (&json!(2), &json!("on")));
    nothing_more_is_asked(&world).await;
}
