//! The same story on Codex of many ages: a session begins, goes on, survives what happens to it.
//!
//! `CODEX_VERSIONS` chooses others than these, separated by commas; `just matrix` takes every one that
//! `docs/codex-versions.md` names.

use std::fs;

use serde_json::{Value, json};
use testkit::{Client, ToolResult, codex_cli, wait_for};

use crate::support::World;

/// The first that is supported, those where something changed, one before the newest.
const CHOSEN: &str = "0.72.0,0.98.0,0.120.0,0.146.0";

#[tokio::test]
async fn the_same_story_on_every_version() {
    let versions = std::env::var("CODEX_VERSIONS").unwrap_or_else(|_| CHOSEN.to_owned());
    for version in versions.split(',').map(str::trim).filter(|version| !version.is_empty()) {
        eprintln!("Codex {version}");
        story(version).await;
    }
}

/// A server on that Codex.
async fn server(world: &World, version: &str) -> Client {
    let codex = codex_cli::fetch(version).unwrap_or_else(|reason| panic!("{version}: {reason}"));
    let launch = world.launch().env("CODEX_BIN", codex.to_string_lossy());
    launch.connect().await
}

async fn story(version: &str) {
    let world = World::new().await;
    world.home.repository();
    // 0.98 would first ask the vendor for its models, for seconds.
    world.home.add_codex_config("[features]\nremote_models = false\n");
    let mut server = server(&world, version).await;
    let ask = async |server: &Client, arguments: Value| {
        let mut call = arguments;
        call["sessionId"] = json!("s");
        server.call("codex", call).await
    };

    // It begins and goes on, with what was chosen. (An effort is only sent to models
    // Codex knows, and newer ones call tools in ways of their own.)
    let models = server.call("listModels", json!({})).await.ok();
    let mut ids =
        models["models"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap());
    let model = ids.rfind(|id| id.starts_with("gpt-5")).unwrap().to_owned();
    let settings = format!("model={model} effort=low");
    let chosen = json!({"prompt": "say one", "model": model, "reasoningEffort": "low"});
    let first = ask(&server, chosen).await.ok();
    assert_eq!(
        (&first["response"], &first["continuity"]),
        (&json!("one"), &json!("new")),
        "{version}"
    );
    assert_eq!(first["codexVersion"], version);
    let second = ask(&server, json!({"prompt": "settings"})).await.ok();
    assert_eq!(second["response"], settings, "{version}");
    assert_eq!(
        (&second["continuity"], &second["turn"]),
        (&json!("resumed"), &json!(2)),
        "{version}"
    );
    assert_eq!(second["threadId"], first["threadId"], "{version}");

    // Commands run, and cannot write.
    let denied = ask(&server, json!({"prompt": "run echo no > written; echo done"})).await.ok();
    assert!(denied["response"].as_str().unwrap().contains("done"), "{version}: {}", denied.raw);
    assert!(!world.home.work().join("written").exists(), "{version}");

    // A failure is one, and costs nothing.
    ask(&server, json!({"prompt": "status 500"})).await.failed_with("provider_error");

    // It can be stopped, and is free at once. (Up to 0.146 Codex itself leaves the model's answer open
    // until its next word.)
    let slow = json!({"name": "codex", "arguments": {"prompt": "slow 60 never", "sessionId": "s"}});
    let (_, running) = server.begin("tools/call", slow).await;
    wait_for("the turn to run", || (world.model.open_streams() == 1).then_some(())).await;
    let stopped = server.call("interrupt", json!({"sessionId": "s"})).await.ok();
    assert_eq!(stopped["interrupted"], true, "{version}: {}", stopped.raw);
    ToolResult::from_response("codex", &running.wait("codex").await).failed_with("interrupted");
    assert_eq!(ask(&server, json!({"prompt": "say on"})).await.ok()["response"], "on", "{version}");

    // A restart changes nothing.
    assert!(server.close().await.success(), "{version}");
    server = self::server(&world, version).await;
    let after = ask(&server, json!({"prompt": "history"})).await.ok();
    assert_eq!(after["continuity"], "resumed", "{version}: {}", after.raw);
    let history = after["response"].as_str().unwrap();
    assert!(history.starts_with("say one\nsettings\n"), "{version}: {history}");
    assert!(history.ends_with("say on"), "{version}: {history}");
    let after = ask(&server, json!({"prompt": "settings"})).await.ok();
    assert_eq!(after["response"], settings, "{version}");

    // A review finds the same things.
    fs::write(world.home.work().join("a.txt"), "one\ntwo\n").unwrap();
    let review = server.call("review", json!({"sessionId": "r"})).await.ok();
    assert_eq!(review["findings"].as_array().map(Vec::len), Some(2), "{version}: {}", review.raw);
    assert_eq!(review["findings"][0]["file"], "/repo/a.txt", "{version}");

    // When Codex has lost its own record, ours stands in.
    assert!(server.close().await.success(), "{version}");
    fs::remove_dir_all(world.home.codex_home().join("sessions")).unwrap();
    server = self::server(&world, version).await;
    let rebuilt = ask(&server, json!({"prompt": "say rebuilt"})).await.ok();
    assert_eq!(
        (&rebuilt["continuity"], &rebuilt["response"]),
        (&json!("rebuilt"), &json!("rebuilt")),
        "{version}: {}",
        rebuilt.raw
    );
    let seen = world.model.requests().last().unwrap().body.to_string();
    assert!(seen.contains(&settings), "{version}: the last answers are not given");
    assert!(server.close().await.success(), "{version}");
}
