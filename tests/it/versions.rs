//! The same story on Codex of many ages: a session begins, goes on, survives what happens to it.
//!
//! `CODEX_VERSIONS` chooses others than these, separated by commas; `just matrix` takes every one that
//! `docs/codex-versions.md` names.

use std::fs;

use serde_json::{Value, json};
use testkit::{Client, ToolResult, codex_cli, wait_for};

use crate::support::World;

/// The first at all, the last and the first for each engine, those where something changed, the newest.
const CHOSEN: &str = "0.50.0,0.66.0,0.72.0,0.98.0,0.120.0,0.146.0,0.171.0";

#[tokio::test]
async fn the_same_story_on_every_version() {
    let versions = std::env::var("CODEX_VERSIONS").unwrap_or_else(|_| CHOSEN.to_owned());
    let mut rows = Vec::new();
    let mut failed = Vec::new();
    for version in versions.split(',').map(str::trim).filter(|version| !version.is_empty()) {
        eprintln!("Codex {version}");
        let name = version.to_owned();
        // Each by itself, so that the table has all of them.
        let told = tokio::spawn(async move { story(&name).await }).await;
        let passes = if told.is_ok() { "yes" } else { "no" };
        let help = told.unwrap_or_default();
        rows.push(row(version, &help, passes));
        if passes == "no" {
            failed.push(version);
        }
    }
    if std::env::var_os("MATRIX").is_some() {
        crate::docs::update("docs/codex-versions.md", "matrix", &table(&rows));
    }
    assert!(failed.is_empty(), "the story fails on {failed:?}");
}

fn row(version: &str, help: &Value, passes: &str) -> String {
    let engine = help["engine"].as_str().unwrap_or("?");
    let lacks = help["lacks"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let lacks: Vec<_> = lacks.map(|text| text.split([',', ':']).next().unwrap_or(text)).collect();
    format!("| {version} | {engine} | {passes} | {} |", lacks.join(", "))
}

fn table(rows: &[String]) -> String {
    let head = "| Codex | driven by | the story passes | it lacks |\n|---|---|---|---|";
    format!("{head}\n{}", rows.join("\n"))
}

/// A server on that Codex.
async fn server(world: &World, version: &str) -> Client {
    let codex = codex_cli::fetch(version).unwrap_or_else(|reason| panic!("{version}: {reason}"));
    let launch = world.launch().env("CODEX_BIN", codex.to_string_lossy());
    launch.connect().await
}

/// Returns what `help` says of that Codex.
async fn story(version: &str) -> Value {
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
    let models = server.call("listModels", json!({})).await;
    let models = models["models"].as_array().cloned().unwrap_or_default();
    let mut ids = models.iter().map(|model| model["id"].as_str().unwrap());
    let model = ids.rfind(|id| id.starts_with("gpt-5")).unwrap_or("gpt-5-codex").to_owned();
    let settings = format!("model={model} effort=medium");
    let chosen = json!({"prompt": "say one", "model": model, "reasoningEffort": "medium"});
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
    assert_eq!(review["findings"][0]["file"], "a.txt", "{version}");

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
    let help = server.call("help", json!({})).await.ok();
    assert!(server.close().await.success(), "{version}");
    help["codex"].clone()
}
