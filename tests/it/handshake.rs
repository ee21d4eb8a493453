//! The beginning of a connection, in every revision clients still speak.

use serde_json::json;
use testkit::process::descendants;

use crate::support::World;

#[tokio::test]
async fn every_revision_is_answered_in_kind() {
    let world = World::new().await;
    for revision in ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"] {
        let client = world.launch().spawn();
        let answer = client.initialize(revision).await;
        assert_eq!(answer["protocolVersion"], revision);
        assert_eq!(answer["serverInfo"]["name"], "codex-mcp-server");
        assert_eq!(
            answer["capabilities"],
            json!({
                "completions": {}, "prompts": {}, "tools": {},
                "resources": {"listChanged": true, "subscribe": true},
            })
        );
        assert!(answer["instructions"].as_str().unwrap().len() < 2048);
        let pong = client.call("ping", json!({})).await.ok();
        assert_eq!(pong["message"], "pong");
    }
}

#[tokio::test]
async fn the_newest_revision_needs_no_handshake() {
    let world = World::new().await;
    let client = world.launch().spawn();
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "testkit", "version": "1"},
    });
    let found = client.request("server/discover", json!({"_meta": meta})).await;
    let versions = found["result"]["supportedVersions"].as_array().unwrap();
    assert!(versions.contains(&json!("2026-07-28")), "{found}");
    let call = json!({"name": "codex", "_meta": meta,
        "arguments": {"prompt": "say modern", "sessionId": "m"}});
    let answer = client.request("tools/call", call).await;
    assert_eq!(answer["result"]["structuredContent"]["response"], "modern", "{answer}");
    assert_eq!(answer["result"]["resultType"], "complete");
}

#[tokio::test]
async fn codex_starts_at_the_first_call_that_needs_it() {
    let world = World::new().await;
    let client = world.server().await;
    client.request("tools/list", json!({})).await;
    client.call("ping", json!({"message": "there?"})).await.ok();
    client.call("listSessions", json!({})).await.ok();
    assert!(descendants(client.server_pid()).is_empty());
    client.call("codex", json!({"prompt": "say hi"})).await.ok();
    assert!(!descendants(client.server_pid()).is_empty());
}

#[tokio::test]
async fn what_is_not_declared_is_not_there() {
    let world = World::new().await;
    let client = world.server().await;
    let answer = client.request("no/such", json!({})).await;
    assert_eq!(answer["error"]["code"], -32601, "{answer}");
    let answer = client.request("tools/call", json!({"name": "codx", "arguments": {}})).await;
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.contains("`codx`") && message.contains("codex"), "{message}");
}

#[tokio::test]
async fn requests_written_before_the_input_ends_are_answered() {
    let world = World::new().await;
    let client = world.launch().spawn();
    client.initialize("2025-11-25").await;
    let (_, pong) = client.begin("tools/call", json!({"name": "ping", "arguments": {}})).await;
    client.close_stdin().await;
    assert_eq!(pong.wait("ping").await["result"]["structuredContent"]["message"], "pong");
    assert!(client.exited().await.success());
}
