//! What is logged, and what never is.

use serde_json::{Value, json};

use crate::support::World;

#[tokio::test]
async fn prompts_and_answers_are_not_logged_above_trace() {
    let world = World::new().await;
    let server = world.launch().alone().args(["--log-level", "debug"]).connect().await;
    server.call("codex", json!({"prompt": "say hushhush", "sessionId": "quiet"})).await.ok();
    server.call("codex", json!({"prompt": "run echo hushhush", "sessionId": "quiet"})).await.ok();
    server.call("codex", json!({"prompt": "say hushhush", "sessionId": "a b"})).await;
    server.close().await;
    let log = server.stderr();
    assert!(log.contains("Codex started"), "{log}");
    assert!(!log.contains("hushhush"), "{log}");
    assert!(!log.contains("loopback"), "the key is not logged: {log}");
}

#[tokio::test]
async fn json_logs_are_one_object_a_line_with_the_call() {
    let world = World::new().await;
    let server = world.launch().alone().args(["--log-format", "json"]).connect().await;
    server.call("codex", json!({"prompt": "say hi", "sessionId": "s"})).await.ok();
    server.close().await;
    let log = server.stderr();
    let lines: Vec<Value> =
        log.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    assert!(
        lines.iter().any(|line| line["message"] == "turn ended" && line["span"]["session"] == "s"),
        "{log}"
    );
    assert!(server.stray_lines().is_empty());
}
