//! Tokens and the account's allowance.

use serde_json::json;

use crate::support::World;

/// 2030-01-01, in seconds since 1970.
const THEN: i64 = 1_893_456_000;

#[tokio::test]
async fn what_is_used_of_the_allowance_is_told() {
    let world = World::new().await;
    let server = world.server().await;
    let prompt = format!("used 42 {THEN}");
    let result = server.call("codex", json!({"prompt": prompt, "sessionId": "s"})).await.ok();
    let window = &result["rateLimits"]["primary"];
    assert_eq!(window["usedPercent"], 42.0, "{}", result.raw);
    assert_eq!(window["windowMinutes"], 300);
    assert_eq!(window["resetsAt"], "2030-01-01T00:00:00Z");
    assert_eq!(result["usage"]["totalTokens"], 120);
    server.call("codex", json!({"prompt": "say more", "sessionId": "s"})).await.ok();
    let listed = server.call("listSessions", json!({})).await.ok();
    assert_eq!(listed["sessions"][0]["usage"]["totalTokens"], 240);
}

#[tokio::test]
async fn a_used_up_allowance_says_when_it_is_back() {
    let world = World::new().await;
    let server = world.server().await;
    let prompt = format!("exhausted {THEN}");
    let result = server.call("codex", json!({"prompt": prompt, "sessionId": "s"})).await;
    let result = result.failed_with("usage_limit");
    assert!(result.text.contains("2030-01-01T00:00:00Z"), "{}", result.text);
    let next = server.call("codex", json!({"prompt": "say hi", "sessionId": "s"})).await.ok();
    assert_eq!(next["response"], "hi");
}
