//! What the operator allows, whatever a call asks for.

use std::fs;

use serde_json::json;

use crate::support::World;

#[tokio::test]
async fn work_stays_below_the_allowed_directories() {
    let world = World::new().await;
    let work = world.home.work();
    fs::create_dir(work.join("inside")).unwrap();
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("a.png"), b"\x89PNG\r\n\x1a\n").unwrap();
    std::os::unix::fs::symlink(outside.path(), work.join("link")).unwrap();
    let roots = format!("limits.roots={}", work.display());
    let server = world.launch().args(["--set", &roots]).connect().await;
    let inside = json!({"prompt": "say in", "workingDirectory": "inside"});
    assert_eq!(server.call("codex", inside).await.ok()["response"], "in");
    let up = work.join("inside/../..");
    for place in [outside.path(), &work.join("link"), &up, "/".as_ref()] {
        let call = json!({"prompt": "say out", "workingDirectory": place});
        server.call("codex", call).await.failed_with("directory_not_allowed");
    }
    let image = json!({"prompt": "say out", "images": ["link/a.png"]});
    server.call("codex", image).await.failed_with("directory_not_allowed");
    let help = server.call("help", json!({})).await.ok();
    assert_eq!(help["limits"]["roots"], json!([work]));
    assert!(world.model.request_for("say out").is_none());
}

#[tokio::test]
async fn only_allowed_models_can_be_named() {
    let world = World::new().await;
    let server = world.launch().args(["--set", "limits.models=good, fine"]).connect().await;
    for tool in ["codex", "review", "websearch"] {
        let call = json!({"prompt": "say x", "query": "x", "model": "bad"});
        let refused = server.call(tool, call).await.failed_with("model_not_allowed");
        assert!(refused.text.contains("good, fine"), "{}", refused.text);
    }
    let call = json!({"prompt": "settings", "model": "fine"});
    assert!(server.call("codex", call).await.ok()["response"].to_string().contains("fine"));
    // Nobody has to name one.
    server.call("codex", json!({"prompt": "say x"})).await.ok();
}

#[tokio::test]
async fn only_chosen_tools_are_offered_and_run() {
    let world = World::new().await;
    let server = world.launch().args(["--tools", "codex,ping"]).connect().await;
    let listed = server.request("tools/list", json!({})).await;
    let names: Vec<_> =
        listed["result"]["tools"].as_array().unwrap().iter().map(|tool| &tool["name"]).collect();
    assert_eq!(names, ["codex", "ping"]);
    let call = json!({"name": "review", "arguments": {}});
    assert_eq!(server.request("tools/call", call).await["error"]["code"], -32602);
}

#[tokio::test]
async fn what_a_hidden_tool_would_do_nothing_else_does() {
    let world = World::new().await;
    let all = world.server().await;
    all.call("codex", json!({"prompt": "say secret", "sessionId": "s"})).await.ok();
    drop(all);
    let client = world.launch().args(["--tools", "codex,ping,steer,help"]).spawn();
    let hello = client.initialize("2025-11-25").await;
    assert_eq!(hello["capabilities"]["resources"], json!(null), "{hello}");
    for (method, params) in [
        ("resources/list", json!({})),
        ("resources/templates/list", json!({})),
        ("resources/read", json!({"uri": "codex://sessions/s"})),
        ("resources/subscribe", json!({"uri": "codex://sessions/s"})),
    ] {
        let refused = client.request(method, params).await;
        assert_eq!(refused["error"]["code"], -32601, "{method}: {refused}");
    }
    let prompts = client.request("prompts/list", json!({})).await;
    let names: Vec<_> =
        prompts["result"]["prompts"].as_array().unwrap().iter().map(|p| &p["name"]).collect();
    assert_eq!(names, ["second-opinion", "continue-session"]);
    let refused = client.request("prompts/get", json!({"name": "review-my-changes"})).await;
    assert_eq!(refused["error"]["code"], -32602, "{refused}");
    let prompt = json!({"name": "continue-session", "arguments": {"sessionId": "s"}});
    let prompt = client.request("prompts/get", prompt).await;
    assert!(!prompt.to_string().contains("getSession"), "{prompt}");
    let complete = json!({"ref": {"type": "ref/prompt", "name": "continue-session"},
        "argument": {"name": "sessionId", "value": ""}});
    let complete = client.request("completion/complete", complete).await;
    assert_eq!(complete["result"]["completion"]["values"], json!([]), "{complete}");
    drop(client);

    let only_ping = world.launch().args(["--tools", "ping"]).spawn();
    let hello = only_ping.initialize("2025-11-25").await;
    assert_eq!(hello["capabilities"], json!({"tools": {}}));
    assert_eq!(only_ping.request("prompts/list", json!({})).await["error"]["code"], -32601);
}

#[tokio::test]
async fn texts_name_only_tools_that_are_offered() {
    let world = World::new().await;
    let server = world.launch().args(["--tools", "codex,help,steer"]).connect().await;
    let mut texts = vec![server.request("tools/list", json!({})).await.to_string()];
    texts.push(server.call("help", json!({})).await.ok().text);
    let busy = json!({"prompt": "slow 60 never", "sessionId": "s", "waitSeconds": 0});
    server.call("codex", busy).await.ok();
    testkit::wait_for("the turn", || (world.model.open_streams() == 1).then_some(())).await;
    let reject = json!({"prompt": "x", "sessionId": "s", "onBusy": "reject"});
    texts.push(server.call("codex", reject).await.failed_with("session_busy").text);
    let steer = server.call("steer", json!({"sessionId": "s", "prompt": "more"})).await.ok();
    assert!(steer.text.contains("`codex-mcp-server wait s` in a terminal"), "{}", steer.text);
    let model = json!({"prompt": "x", "sessionId": "other", "model": "missing"});
    let refused = server.call("codex", model).await.failed_with("model_refused");
    assert_eq!(refused["next"], "Leave `model` out to use Codex's own.");
    texts.push(refused.text);
    let hidden = [
        "`wait`",
        "`interrupt`",
        "listSessions",
        "getSession",
        "forkSession",
        "listModels",
        "`websearch`",
    ];
    for text in texts {
        for name in hidden {
            assert!(!text.contains(name), "{name}: {text}");
        }
    }
}

#[tokio::test]
async fn an_answer_is_whole_where_its_rest_could_not_be_read() {
    let world = World::new().await;
    let server = world.launch().args(["--tools", "codex"]).connect().await;
    let big = server.call("codex", json!({"prompt": "big 100000"})).await.ok();
    assert_eq!(big["response"].as_str().unwrap().len(), 100_000);
    assert_eq!(big["truncated"], false);
    assert!(!big.raw.to_string().contains("codex://"));
}
