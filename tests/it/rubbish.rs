//! What is no message of MCP: it ends nothing, and whoever waits for an answer gets one.

use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use serde_json::{Value, json};
use testkit::{Client, wait_for};

use crate::support::World;

/// The refusals so far that no request of the client's own waits for.
fn refusals(client: &Client) -> Vec<Value> {
    client.messages().into_iter().filter(|message| message["error"].is_object()).collect()
}

#[tokio::test]
async fn whatever_comes_first_the_server_stays() {
    let world = World::new().await;
    for first in [
        r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"no"}}"#,
        r#"{"jsonrpc":"2.0","id":"a","method":"tools/list"}"#,
        r#"{"jsonrpc":"2.0","id":"a","method":"initialize","params":[]}"#,
        "rubbish",
        "[]",
    ] {
        let client = world.launch().spawn();
        client.send_line(first).await;
        let answer = client.initialize("2025-11-25").await;
        assert_eq!(answer["protocolVersion"], "2025-11-25", "{first}");
        assert_eq!(client.call("ping", json!({})).await.ok()["message"], "pong", "{first}");
        assert!(client.close().await.success(), "{first}");
    }
}

#[tokio::test]
async fn the_newest_revision_may_begin_with_a_notification_too() {
    let world = World::new().await;
    let client = world.launch().spawn();
    client.notify("notifications/initialized", json!({})).await;
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "testkit", "version": "1"},
    });
    let ping = json!({"name": "ping", "arguments": {}, "_meta": meta});
    let answer = client.request("tools/call", ping).await;
    assert_eq!(answer["result"]["structuredContent"]["message"], "pong", "{answer}");
    let (_, slow) = client
        .begin(
            "tools/call",
            json!({"name": "codex", "_meta": meta,
            "arguments": {"prompt": "slow 60 never", "sessionId": "s"}}),
        )
        .await;
    wait_for("the turn to run", || (world.model.open_streams() == 1).then_some(())).await;
    client.notify("notifications/cancelled", json!({"requestId": 2})).await;
    wait_for("the turn to end", || (world.model.open_streams() == 0).then_some(())).await;
    drop(slow);
}

#[tokio::test]
async fn every_request_is_answered_and_every_other_line_refused() {
    let world = World::new().await;
    let client = world.server().await;
    let deep = format!(
        r#"{{"jsonrpc":"2.0","id":"deep","method":"tools/call","params":{}1{}}}"#,
        r#"{"a":"#.repeat(130),
        "}".repeat(130)
    );
    let long = format!("{{\"jsonrpc\":\"2.0\",\"x\":\"{}\"}}", "x".repeat(17 * 1024 * 1024));
    for (line, code, id) in [
        ("garbage", -32700, Value::Null),
        ("{\"id\":", -32700, Value::Null),
        ("\u{0}\u{1}", -32700, Value::Null),
        ("[]", -32600, Value::Null),
        ("{}", -32600, Value::Null),
        (r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#, -32600, Value::Null),
        (r#"{"jsonrpc":"2.0","id":"bare"}"#, -32600, json!("bare")),
        (r#"{"jsonrpc":"1.0","id":"old","method":"ping"}"#, -32600, json!("old")),
        (r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, -32600, json!(1.5)),
        (deep.as_str(), -32600, json!("deep")),
        (long.as_str(), -32600, Value::Null),
        (
            r#"{"jsonrpc":"2.0","id":"list","method":"tools/call","params":{"name":"ping","arguments":[]}}"#,
            -32602,
            json!("list"),
        ),
        (
            r#"{"jsonrpc":"2.0","id":"bare","method":"tools/call","params":[]}"#,
            -32602,
            json!("bare"),
        ),
        (r#"{"jsonrpc":"2.0","id":"none","method":"no/such"}"#, -32601, json!("none")),
    ] {
        let before = refusals(&client).len();
        client.send_line(line).await;
        let shown = line.get(..60).unwrap_or(line);
        let refused = wait_for(shown, || refusals(&client).get(before).cloned()).await;
        assert_eq!(
            (&refused["error"]["code"], refused.get("id")),
            (&json!(code), Some(&id)),
            "{shown}"
        );
        assert_eq!(refused["jsonrpc"], "2.0");
    }
    let last = refusals(&client).len();
    // Nobody waits for an answer to these.
    client.send_line("").await;
    client.send_line(r#"{"jsonrpc":"2.0","method":"no/such","params":7}"#).await;
    client.send_line(r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"?"}}"#).await;
    assert_eq!(client.call("ping", json!({})).await.ok()["message"], "pong");
    assert_eq!(refusals(&client).len(), last);
}

#[tokio::test]
async fn no_line_ends_the_server() {
    let world = World::new().await;
    let client = world.server().await;
    let piece = prop_oneof![
        Just("{".to_owned()),
        Just("}".to_owned()),
        Just("[".to_owned()),
        Just("]".to_owned()),
        Just(",".to_owned()),
        Just(":".to_owned()),
        Just("null".to_owned()),
        Just("-1".to_owned()),
        Just("\"jsonrpc\":\"2.0\"".to_owned()),
        Just("\"id\":\"x\"".to_owned()),
        Just("\"method\":\"tools/call\"".to_owned()),
        Just("\"method\":\"notifications/cancelled\"".to_owned()),
        Just("\"params\":{}".to_owned()),
        Just("\"result\":{}".to_owned()),
        Just("\"error\":{}".to_owned()),
        "[ -~]{0,6}",
        "\\PC{0,4}",
    ];
    let line = proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat());
    let random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Config::default(), random);
    for _ in 0..400 {
        client.send_line(&line.new_tree(&mut runner).unwrap().current()).await;
    }
    assert_eq!(client.call("ping", json!({})).await.ok()["message"], "pong");
    assert!(client.stray_lines().is_empty());
    assert!(client.close().await.success());
}
