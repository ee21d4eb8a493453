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
