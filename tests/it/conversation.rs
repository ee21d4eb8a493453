//! The main job: a named conversation that goes on.

use serde_json::json;

use crate::support::World;

#[tokio::test]
async fn a_conversation_goes_on_across_calls_and_restarts() {
    let world = World::new().await;
    let server = world.server().await;
    let first = server.call("codex", json!({"prompt": "say one", "sessionId": "talk"})).await.ok();
    assert_eq!((&first["response"], &first["continuity"]), (&json!("one"), &json!("new")));
    assert!(
        first.text.starts_with("one\n") && first.text.contains("[session talk"),
        "{}",
        first.text
    );
    let second = server.call("codex", json!({"prompt": "history", "sessionId": "talk"})).await.ok();
    assert_eq!(
        (&second["response"], &second["continuity"]),
        (&json!("say one"), &json!("resumed"))
    );
    assert_eq!(second["threadId"], first["threadId"]);
    assert!(server.close().await.success());

    let server = world.server().await;
    let third = server.call("codex", json!({"prompt": "history", "sessionId": "talk"})).await.ok();
    assert_eq!(third["response"], "say one\nhistory");
    assert_eq!((&third["continuity"], &third["turn"]), (&json!("resumed"), &json!(3)));
    assert_eq!(third["threadId"], first["threadId"]);
    assert!(server.stray_lines().is_empty());
}
