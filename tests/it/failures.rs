//! What goes wrong is a failure, says so in Codex's words, and leaves a session that goes on.

use std::fs;

use serde_json::json;

use crate::support::World;

#[tokio::test]
async fn a_failed_turn_is_an_error_and_the_session_lives_on() {
    let world = World::new().await;
    let server = world.server().await;
    for (prompt, code, words) in [
        ("status 400", "bad_request", "scripted failure 400"),
        ("status 401", "unauthorized", "401"),
        ("status 429", "rate_limited", "429"),
        ("status 500", "provider_error", "high demand"),
        ("cut", "provider_error", "stream disconnected"),
        ("overflow", "context_window_exceeded", "context window"),
    ] {
        let session = prompt.replace(' ', "-");
        let call = json!({"prompt": prompt, "sessionId": session});
        let failed = server.call("codex", call).await.failed_with(code);
        assert!(failed["message"].as_str().unwrap().contains(words), "{prompt}: {}", failed.raw);
        assert_eq!(failed["status"], "failed");
        assert!(failed.text.contains(words) && !failed["next"].as_str().unwrap().is_empty());
        let next =
            server.call("codex", json!({"prompt": "say fine", "sessionId": session})).await.ok();
        assert_eq!((&next["response"], &next["continuity"]), (&json!("fine"), &json!("resumed")));
    }
}

#[tokio::test]
async fn the_half_of_an_answer_is_kept() {
    let world = World::new().await;
    let server = world.server().await;
    let failed = server.call("codex", json!({"prompt": "cut", "sessionId": "s"})).await;
    assert_eq!(failed["response"], "half an ans");
    let kept = server.call("getSession", json!({"sessionId": "s"})).await.ok();
    assert_eq!(kept["turns"][0]["response"], "half an ans");
    assert_eq!(kept["turns"][0]["status"], "failed");
}

#[tokio::test]
async fn nobody_logged_in_is_said_at_once() {
    let world = World::new().await;
    world.home.codex_config("");
    let server = world.server().await;
    let failed =
        server.call("codex", json!({"prompt": "say hi"})).await.failed_with("not_logged_in");
    assert!(failed.text.contains("codex login"), "{}", failed.text);
}

#[tokio::test]
async fn a_missing_codex_is_said_and_the_rest_works() {
    let world = World::new().await;
    let server = world.launch().env("CODEX_BIN", "/no/such/codex").connect().await;
    let failed =
        server.call("codex", json!({"prompt": "say hi"})).await.failed_with("codex_not_found");
    assert!(failed.text.contains("/no/such/codex") && failed.text.contains("npm install"));
    server.call("listModels", json!({})).await.failed_with("codex_not_found");
    server.call("listSessions", json!({})).await.ok();
    let help = server.call("help", json!({})).await.ok();
    assert!(help["codex"]["trouble"].as_str().unwrap().contains("/no/such/codex"));
}

#[tokio::test]
async fn something_that_is_not_codex_is_named() {
    let world = World::new().await;
    let server = world.launch().env("CODEX_BIN", "/bin/cat").connect().await;
    let failed =
        server.call("codex", json!({"prompt": "say hi"})).await.failed_with("codex_start_failed");
    assert!(failed.text.contains("/bin/cat"), "{}", failed.text);
}

#[tokio::test]
async fn a_broken_codex_configuration_is_said_in_codexs_words() {
    let world = World::new().await;
    let good = fs::read_to_string(world.home.codex_home().join("config.toml")).unwrap();
    world.home.codex_config("model = [");
    let server = world.server().await;
    let failed = server.call("codex", json!({"prompt": "say hi"})).await;
    let failed = failed.failed_with("codex_config_invalid");
    assert!(failed.text.contains("config.toml:1:10"), "{}", failed.text);
    // Mended while we run.
    world.home.codex_config(&good);
    assert_eq!(server.call("codex", json!({"prompt": "say hi"})).await.ok()["response"], "hi");
}
