//! Traces for the operator's collector.

use serde_json::json;
use testkit::{Collector, client::signal};

use super::Team;

#[tokio::test]
async fn a_call_and_its_turn_are_spans_of_the_client_s_trace() {
    let (team, collector) = (Team::new().await, Collector::start().await);
    let mut server = team.serve_with(&[&format!("log.traces={}", collector.url())]).await;
    let client = server.client(Some(&team.token("a", &[]).await));
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let parent = format!("00-{trace}-b7ad6b7169203331-01");
    let call = json!({"name": "codex", "arguments": {"prompt": "say secret", "sessionId": "s"},
        "_meta": {"traceparent": parent}});
    client.ask("tools/call", call).await;
    // What is no trace is none, and harms nothing.
    let odd = json!({"name": "ping", "arguments": {}, "_meta": {"traceparent": "nonsense"}});
    assert!(client.ask("tools/call", odd).await["result"].is_object());
    // The last spans are sent at the end.
    signal(server.pid(), "TERM").await;
    assert!(server.ended().await.success());
    let spans = collector.spans();
    let named = |name: &str| {
        let found = spans.iter().find(|span| span["name"] == name && span["traceId"] == trace);
        found.unwrap_or_else(|| panic!("no {name}: {spans:?}")).clone()
    };
    let (call, turn) = (named("call"), named("turn"));
    assert_eq!(call["parentSpanId"], "b7ad6b7169203331");
    assert_eq!(turn["parentSpanId"], call["spanId"]);
    let all = json!(spans).to_string();
    assert!(!all.contains("secret"), "{all}");
    let attributes = turn["attributes"].to_string();
    assert!(attributes.contains("thread_id") && attributes.contains("\"s\""), "{attributes}");
    let others = spans.iter().filter(|span| span["traceId"] != trace);
    assert_eq!(others.count(), 1, "{all}");
}

#[tokio::test]
async fn a_collector_that_is_not_there_holds_nobody_up() {
    let team = Team::new().await;
    let mut server = team.serve_with(&["log.traces=http://127.0.0.1:9/v1/traces"]).await;
    let client = server.client(Some(&team.token("a", &[]).await));
    client.call("codex", json!({"prompt": "say hi", "sessionId": "s"})).await.ok();
    signal(server.pid(), "TERM").await;
    assert!(server.ended().await.success());
}
