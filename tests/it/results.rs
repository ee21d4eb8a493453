//! What a tool returns is what it declares: strict clients refuse anything else.

use serde_json::{Value, json};

use crate::support::World;

#[tokio::test]
async fn every_result_keeps_to_its_declared_schema() {
    let world = World::new().await;
    world.home.repository();
    let server = world.server().await;
    let listed = server.request("tools/list", json!({})).await;
    let calls = [
        ("codex", json!({"prompt": "say hi", "sessionId": "s"})),
        (
            "codex",
            json!({"prompt": "run echo hi > new", "sessionId": "s", "sandbox": "workspace-write"}),
        ),
        ("codex", json!({"prompt": "slow 60 never", "sessionId": "s", "waitSeconds": 0})),
        ("wait", json!({"sessionId": "s", "waitSeconds": 0})),
        ("steer", json!({"sessionId": "s", "prompt": "more"})),
        ("interrupt", json!({"sessionId": "s"})),
        ("wait", json!({"sessionId": "s", "turn": 1})),
        ("listSessions", json!({"limit": 1})),
        ("getSession", json!({"sessionId": "s"})),
        ("getSession", json!({"sessionId": "s", "turn": 2, "limit": 2})),
        ("review", json!({"prompt": "Review the words"})),
        ("websearch", json!({"query": "x"})),
        ("forkSession", json!({"sessionId": "s", "newSessionId": "t"})),
        (
            "codex",
            json!({"prompt": "say {}", "outputSchema": {"type": "object"}, "ephemeral": true}),
        ),
        ("listSessions", json!({"includeThreads": true})),
        ("codex", json!({"prompt": "run echo x > x", "sessionId": "w", "worktree": true})),
        ("worktree", json!({"sessionId": "w", "action": "diff"})),
        ("worktree", json!({"sessionId": "w", "action": "apply"})),
        ("worktree", json!({"sessionId": "w", "action": "discard"})),
        ("usage", json!({})),
        ("deleteSession", json!({"sessionId": "s"})),
        ("listSessions", json!({"odd": 1})),
        ("listModels", json!({})),
        ("ping", json!({})),
        ("help", json!({})),
    ];
    let tools = listed["result"]["tools"].as_array().unwrap();
    for tool in tools {
        assert!(
            calls.iter().any(|(name, _)| tool["name"] == *name),
            "nobody calls {}",
            tool["name"]
        );
    }
    for (name, arguments) in calls {
        let result = server.call(name, arguments).await.ok();
        let tool = tools.iter().find(|tool| tool["name"] == name).unwrap();
        let wrong = mismatch(&tool["outputSchema"], &result.structured, name);
        assert_eq!(wrong, None, "{}", result.raw);
        assert!(!result.text.trim().is_empty() && !result.text.starts_with('['), "{}", result.text);
    }
}

/// Some clients hold errors against the schema as well, and hide what does not fit.
#[tokio::test]
async fn every_error_keeps_to_the_schema_of_its_result() {
    let world = World::new().await;
    let server = world.server().await;
    let listed = server.request("tools/list", json!({})).await;
    let wrong = [
        ("codex", json!({"prompt": "x", "workingDirectory": "/nope"}), "directory_unusable"),
        ("codex", json!({"prompt": "status 500"}), "provider_error"),
        ("codex", json!({}), "invalid_argument"),
        ("review", json!({"base": "a", "commit": "b"}), "invalid_argument"),
        ("websearch", json!({"query": ""}), "invalid_argument"),
        ("wait", json!({"sessionId": "nope"}), "unknown_session"),
        ("steer", json!({"sessionId": "nope", "prompt": "x"}), "unknown_session"),
        ("interrupt", json!({"sessionId": "nope"}), "unknown_session"),
        ("listSessions", json!({"limit": 0}), "invalid_argument"),
        ("getSession", json!({"sessionId": "nope"}), "unknown_session"),
        ("forkSession", json!({"sessionId": "nope"}), "unknown_session"),
        ("deleteSession", json!({"sessionId": "nope"}), "unknown_session"),
        ("ping", json!({"message": 7}), "invalid_argument"),
    ];
    for (name, arguments, code) in wrong {
        let result = server.call(name, arguments).await.failed_with(code);
        let tools = listed["result"]["tools"].as_array().unwrap();
        let tool = tools.iter().find(|tool| tool["name"] == name).unwrap();
        assert_eq!(
            mismatch(&tool["outputSchema"], &result.structured, name),
            None,
            "{}",
            result.raw
        );
    }
}

/// Where a value first fails its schema, as far as our schemas go.
fn mismatch(schema: &Value, value: &Value, place: &str) -> Option<String> {
    let fits = match schema["type"].as_str()? {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        other => panic!("{place}: no check for the type {other}"),
    };
    if !fits {
        return Some(format!("{place} is not of type {}: {value}", schema["type"]));
    }
    let required = schema["required"].as_array().into_iter().flatten();
    let missing = required.filter_map(Value::as_str).find(|name| value.get(name).is_none());
    if let Some(name) = missing {
        return Some(format!("{place}.{name} is missing"));
    }
    let fields = value.as_object().into_iter().flatten();
    let in_fields = fields.filter_map(|(name, field)| {
        let place = format!("{place}.{name}");
        match schema["properties"].get(name) {
            Some(schema) => mismatch(schema, field, &place),
            None => Some(format!("{place} is not declared")),
        }
    });
    let items = value.as_array().into_iter().flatten();
    let in_items = items.filter_map(|item| mismatch(&schema["items"], item, &format!("{place}[]")));
    in_fields.chain(in_items).next()
}
