//! Clients of the two servers this one stands in for: what they send is taken, what they read is there.
//!
//! The calls are written down from the sources of the npm package 1.4.10 and from what Codex 0.140's
//! `mcp-server` was observed to take and give.

use serde_json::{Value, json};
use testkit::Client;

use crate::support::World;

async fn tools(server: &Client) -> Vec<Value> {
    let listed = server.request("tools/list", json!({})).await;
    listed["result"]["tools"].as_array().unwrap().clone()
}

fn named<'a>(tools: &'a [Value], name: &str) -> &'a Value {
    tools.iter().find(|tool| tool["name"] == name).unwrap_or_else(|| panic!("no tool {name}"))
}

#[tokio::test]
async fn a_client_of_the_npm_package_changes_only_its_command() {
    let world = World::new().await;
    world.home.repository();
    std::fs::write(world.home.work().join("a.txt"), "changed\n").unwrap();
    let server = world.server().await;
    let listed = tools(&server).await;
    for (tool, arguments) in [
        (
            "codex",
            &[
                "prompt",
                "sessionId",
                "resetSession",
                "model",
                "reasoningEffort",
                "sandbox",
                "fullAuto",
                "workingDirectory",
                "callbackUri",
            ][..],
        ),
        (
            "review",
            &["prompt", "uncommitted", "base", "commit", "title", "model", "workingDirectory"],
        ),
        ("websearch", &["query", "numResults", "searchDepth"]),
        ("ping", &["message"]),
        ("help", &[]),
        ("listSessions", &[]),
    ] {
        let properties = &named(&listed, tool)["inputSchema"]["properties"];
        for argument in arguments {
            assert!(properties[argument].is_object(), "{tool}.{argument}");
        }
    }
    let call = json!({
        "prompt": "say one", "sessionId": "my-session", "resetSession": false, "model": "gpt-5-codex",
        "reasoningEffort": "minimal", "sandbox": "workspace-write", "fullAuto": true,
        "workingDirectory": world.home.work(), "callbackUri": "http://127.0.0.1:1/cb",
    });
    let result = server.call("codex", call).await.ok();
    let block = &result.raw["content"][0];
    assert_eq!(block["type"], "text");
    assert!(block["text"].as_str().unwrap().starts_with("one"));
    assert_eq!(block["_meta"]["threadId"], result["threadId"]);
    assert_eq!(block["_meta"]["sessionId"], "my-session");
    assert_eq!(block["_meta"]["model"], "gpt-5-codex");
    assert_eq!(block["_meta"]["callbackUri"], "http://127.0.0.1:1/cb");
    let review = server.call("review", json!({"uncommitted": true, "title": "Mine"})).await.ok();
    assert!(review.text.contains("Counts wrong"));
    let review = server.call("review", json!({"commit": "HEAD"})).await.ok();
    assert_eq!(review.raw["content"][0]["_meta"]["commit"], "HEAD");
    let search = json!({"query": "x", "numResults": 5, "searchDepth": "basic"});
    let search = server.call("websearch", search).await.ok();
    assert!(search.text.contains("example.com"));
    let meta = &search.raw["content"][0]["_meta"];
    assert_eq!(
        (&meta["query"], &meta["numResults"], &meta["searchDepth"]),
        (&json!("x"), &json!(5), &json!("basic"))
    );
    assert!(meta["timestamp"].is_string());
    assert!(server.call("ping", json!({"message": "there?"})).await.ok().text.contains("there?"));
    assert!(!server.call("help", json!({})).await.ok().text.is_empty());
    let sessions = server.call("listSessions", json!({})).await.ok();
    let session = sessions["sessions"].as_array().unwrap().iter().find(|s| s["id"] == "my-session");
    for field in ["id", "createdAt", "lastAccessedAt", "turnCount"] {
        assert!(!session.unwrap()[field].is_null(), "{field}");
    }
}

#[tokio::test]
async fn the_variables_of_the_npm_package_are_honoured() {
    let world = World::new().await;
    let launch = world
        .launch()
        .env("CODEX_DEFAULT_MODEL", "gpt-env")
        .env("CODEX_MCP_CALLBACK_URI", "http://127.0.0.1:1/env");
    let server = launch.connect().await;
    let call = json!({"prompt": "settings", "sessionId": "s"});
    let result = server.call("codex", call).await.ok();
    let meta = &result.raw["content"][0]["_meta"];
    assert_eq!(meta["callbackUri"], "http://127.0.0.1:1/env");
    assert_eq!(result["model"], "gpt-env");
    let own = json!({"prompt": "settings", "callbackUri": "http://127.0.0.1:1/own"});
    let result = server.call("codex", own).await.ok();
    assert_eq!(result.raw["content"][0]["_meta"]["callbackUri"], "http://127.0.0.1:1/own");
    drop(server);
    for (word, expected) in [("0", false), ("off", false), ("true", true), ("", true)] {
        let server = launch.clone().env("STRUCTURED_CONTENT_ENABLED", word).connect().await;
        let result = server.call("ping", json!({})).await;
        assert_eq!(result.structured.is_object(), expected, "{word:?}");
        assert_eq!(result.text, "pong");
        let listed = tools(&server).await;
        assert_eq!(named(&listed, "codex")["outputSchema"].is_object(), expected, "{word:?}");
    }
    // The terminal reads the structured form itself.
    let mut ping = launch.env("STRUCTURED_CONTENT_ENABLED", "0").args(["ping", "--json"]).command();
    let output = ping.output().await.unwrap();
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(printed["message"], "pong");
}

#[tokio::test]
async fn a_client_of_codexs_own_server_adds_one_flag() {
    let world = World::new().await;
    let server = world.launch().args(["--compat", "vendor"]).connect().await;
    let listed = tools(&server).await;
    let properties = &named(&listed, "codex")["inputSchema"]["properties"];
    for argument in [
        "prompt",
        "approval-policy",
        "base-instructions",
        "config",
        "cwd",
        "developer-instructions",
        "model",
        "profile",
        "sandbox",
    ] {
        assert!(properties[argument].is_object(), "{argument}");
    }
    let properties = &named(&listed, "codex-reply")["inputSchema"]["properties"];
    assert!(properties["threadId"].is_object() && properties["conversationId"].is_object());
    let call = json!({
        "prompt": "say one", "cwd": world.home.work(), "approval-policy": "on-failure",
        "sandbox": "read-only", "model": "gpt-mock", "base-instructions": "Be plain.",
        "developer-instructions": "Be brief.", "config": {"model_reasoning_effort": "low"},
    });
    let first = server.call("codex", call).await.ok();
    assert_eq!(first["content"], "one");
    assert_eq!(first["approvalPolicy"], "on-request");
    assert!(!first["warnings"].to_string().contains("unknown argument"), "{}", first.raw);
    let seen = world.model.requests()[0].clone();
    assert_eq!(seen.effort(), Some("low"));
    let told = seen.body.to_string();
    assert!(told.contains("Be plain.") && told.contains("Be brief."));
    for key in ["threadId", "conversationId"] {
        let reply = json!({"prompt": "history", key: first["threadId"]});
        let reply = server.call("codex-reply", reply).await.ok();
        assert!(reply["content"].as_str().unwrap().starts_with("say one"), "{}", reply.raw);
        assert_eq!(reply["threadId"], first["threadId"]);
    }
    server.call("codex-reply", json!({"prompt": "x"})).await.failed_with("invalid_argument");
}

#[tokio::test]
async fn without_the_flag_old_spellings_are_taken_and_not_shown() {
    let world = World::new().await;
    let server = world.server().await;
    let listed = tools(&server).await;
    assert!(listed.iter().all(|tool| tool["name"] != "codex-reply"));
    assert!(named(&listed, "codex")["inputSchema"]["properties"]["cwd"].is_null());
    let first =
        server.call("codex", json!({"prompt": "say one", "cwd": world.home.work()})).await.ok();
    assert!(!first["warnings"].to_string().contains("unknown"), "{}", first.raw);
    let reply = json!({"prompt": "history", "threadId": first["threadId"]});
    assert_eq!(server.call("codex-reply", reply).await.ok()["content"], "say one");
    world
        .home
        .add_codex_config("[profiles.deep]\nmodel = 'gpt-old'\nhide_agent_reasoning = true\n");
    let unknown = json!({"prompt": "say no", "profile": "shallow"});
    let refused = server.call("codex", unknown).await.failed_with("invalid_argument");
    assert!(refused.text.contains("[profiles.shallow]"), "{}", refused.text);
    let file = world.home.codex_home().join("deep.config.toml");
    for (model, file_says) in [("gpt-old", None), ("gpt-new", Some("model = 'gpt-new'"))] {
        if let Some(text) = file_says {
            std::fs::write(&file, text).unwrap();
        }
        let call = json!({"prompt": "say it", "profile": "deep"});
        assert_eq!(server.call("codex", call).await.ok()["model"], model);
    }
    let wide = json!({"prompt": "x", "config": {"sandbox_mode": "danger-full-access"}});
    let refused = server.call("codex", wide).await.failed_with("config_not_allowed");
    assert!(refused.text.contains("sandbox_mode"), "{}", refused.text);
}

#[tokio::test]
async fn a_bad_value_in_a_calls_own_configuration_is_that_calls_fault() {
    let world = World::new().await;
    let server = world.server().await;
    let call = json!({"prompt": "say hi", "config": {"model_verbosity": "loud"}});
    let failed = server.call("codex", call).await.failed_with("invalid_argument");
    assert!(failed.text.contains("`config`") && failed.text.contains("loud"), "{}", failed.text);
}
