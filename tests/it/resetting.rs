//! A reset resets, and one that fails leaves everything as it was.

use serde_json::{Value, json};
use testkit::{CODEX_VERSION, Client, codex_cli, wait_for};

use crate::support::{World, in_a_terminal, script};

#[tokio::test]
async fn an_adopted_session_is_reset_like_any_other() {
    let world = World::new().await;
    let thread = in_a_terminal(&world, "say from the terminal").await;
    let server = world.server().await;
    let adopted = json!({"prompt": "history", "sessionId": thread});
    let here = server.call("codex", adopted).await.ok();
    assert_eq!(here["continuity"], "resumed");
    let reset = json!({"prompt": "history", "sessionId": thread, "resetSession": true});
    let reset = server.call("codex", reset).await.ok();
    assert_eq!((&reset["continuity"], &reset["response"]), (&json!("new"), &json!("")));
    assert_ne!(reset["threadId"], json!(thread));
    assert_eq!((&reset["sessionId"], &reset["turn"]), (&json!(thread), &json!(2)));
    // Its history does not come back, by either of its names.
    for name in [json!({"sessionId": thread}), json!({"threadId": thread})] {
        let mut call = name.as_object().unwrap().clone();
        call.insert("prompt".to_owned(), json!("history"));
        let next = server.call("codex", Value::Object(call)).await.ok();
        assert!(!next["response"].as_str().unwrap().contains("terminal"), "{}", next.raw);
    }
    // Nor after a restart.
    server.close().await;
    let server = world.server().await;
    let next = server.call("codex", json!({"prompt": "history", "sessionId": thread})).await.ok();
    assert!(!next["response"].as_str().unwrap().contains("terminal"), "{}", next.raw);
}

#[tokio::test]
async fn a_thread_that_is_reset_before_it_was_adopted_stays_out() {
    let world = World::new().await;
    let thread = in_a_terminal(&world, "say from the terminal").await;
    let server = world.server().await;
    let reset = json!({"prompt": "history", "sessionId": thread, "resetSession": true});
    let reset = server.call("codex", reset).await.ok();
    assert_eq!((&reset["continuity"], &reset["response"]), (&json!("new"), &json!("")));
    assert_ne!(reset["threadId"], json!(thread));
}

/// A program that stands before Codex.
async fn begun(world: &World) -> Client {
    let server = world.server().await;
    let first = json!({"prompt": "say one", "sessionId": "s", "sandbox": "read-only"});
    server.call("codex", first).await.ok();
    server
}

async fn session(server: &Client) -> Value {
    server.call("getSession", json!({"sessionId": "s"})).await.ok().structured
}

#[tokio::test]
async fn a_reset_that_fails_leaves_everything_as_it_was() {
    let world = World::new().await;
    let server = begun(&world).await;
    let before = session(&server).await;
    // The model's own list does not have this effort.
    let models = server.call("listModels", json!({})).await.ok();
    let model = models["models"][0]["id"].clone();
    let reset = json!({
        "prompt": "say new", "sessionId": "s", "resetSession": true, "model": model,
        "reasoningEffort": "imaginary", "sandbox": "workspace-write",
    });
    let refused = server.call("codex", reset.clone()).await.failed_with("invalid_argument");
    assert!(refused.text.contains("imaginary"), "{}", refused.text);
    assert_eq!(session(&server).await, before);

    // In the background only its failure is added: its caller has no other way to learn of it.
    // Another server, whose Codex is slow to start, cannot tell before the call is answered.
    server.close().await;
    let codex = codex_cli::fetch(CODEX_VERSION).unwrap();
    let slow = script(&world, "slow-codex", &format!("sleep 1\nexec '{}' \"$@\"", codex.display()));
    let server = world.launch().env("CODEX_BIN", slow).connect().await;
    let mut background = reset;
    background["waitSeconds"] = json!(0);
    let begun = server.call("codex", background).await.ok();
    assert_eq!(begun["status"], "running");
    server.call("wait", json!({"sessionId": "s"})).await.failed_with("invalid_argument");
    let after = session(&server).await;
    assert_eq!(after["turns"][0], before["turns"][0]);
    assert_eq!(after["turns"].as_array().unwrap().len(), 2);
    for kept in ["threadId", "model", "sandbox", "workingDirectory", "usage"] {
        assert_eq!(after["session"][kept], before["session"][kept], "{kept}");
    }
    let next = server.call("codex", json!({"prompt": "history", "sessionId": "s"})).await.ok();
    assert_eq!((&next["continuity"], &next["response"]), (&json!("resumed"), &json!("say one")));
    assert_eq!((&next["sandbox"], &next["turn"]), (&json!("read-only"), &json!(3)));
}

#[tokio::test]
async fn a_reset_whose_server_is_killed_before_it_began_has_not_happened() {
    let world = World::new().await;
    let server = begun(&world).await;
    server.close().await;
    // A Codex that never answers its handshake.
    let mute = "[ \"$1\" = --version ] && echo codex-cli 0.171.0 && exit\nexec sleep 1000";
    let mute = script(&world, "mute-codex", mute);
    let server = world.launch().alone().env("CODEX_BIN", mute).connect().await;
    let reset = json!({"prompt": "say new", "sessionId": "s", "resetSession": true});
    let call = json!({"name": "codex", "arguments": reset});
    let (_, _lost) = server.begin("tools/call", call).await;
    wait_for("Codex to be started", || {
        (!testkit::process::children(server.pid()).is_empty()).then_some(())
    })
    .await;
    server.signal("KILL").await;
    let server = world.server().await;
    let next = server.call("codex", json!({"prompt": "history", "sessionId": "s"})).await.ok();
    assert_eq!((&next["continuity"], &next["response"]), (&json!("resumed"), &json!("say one")));
}
