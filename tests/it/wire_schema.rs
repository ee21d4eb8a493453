//! What we send to the app-server is what each version says it takes: our requests are written down on
//! their way and held against the schema which that version generates of itself.

use std::{fs, path::Path};

use serde_json::{Value, json};
use testkit::{Client, codex_cli, wait_for};

use crate::support::World;

const VERSIONS: [&str; 5] = ["0.72.0", "0.98.0", "0.120.0", "0.146.0", "0.171.0"];

#[tokio::test]
async fn every_request_is_as_that_version_wants_it() {
    for version in VERSIONS {
        let world = World::new().await;
        world.home.repository();
        // 0.98 would ask the vendor for its models each time, for seconds.
        world.home.add_codex_config("[features]\nremote_models = false\n");
        let codex =
            codex_cli::fetch(version).unwrap_or_else(|reason| panic!("{version}: {reason}"));
        let log = world.home.path().join("sent.jsonl");
        let listening = listening(&world, &codex, &log);
        let server = world.launch().env("CODEX_BIN", listening).connect().await;
        everything(&world, &server).await;
        assert!(server.close().await.success(), "{version}");
        // Rebuilding sends what a lost record makes necessary.
        fs::remove_dir_all(world.home.codex_home().join("sessions")).unwrap();
        let server =
            world.launch().env("CODEX_BIN", world.home.path().join("codex").to_string_lossy());
        let server = server.connect().await;
        server.call("codex", json!({"prompt": "say again", "sessionId": "s"})).await.ok();
        assert!(server.close().await.success(), "{version}");

        let schema = schema(&world, &codex).await;
        let sent = fs::read_to_string(&log).unwrap();
        let sent = sent.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let (mut methods, mut known) = (Vec::new(), Vec::new());
        for request in sent.filter(|line| line["id"].is_u64() && line["method"].is_string()) {
            let method = request["method"].as_str().unwrap().to_owned();
            if schema_has(&schema, &method) {
                known.push(request);
            }
            methods.push(method);
        }
        let case = (schema.clone(), known);
        let opinion = testkit::ajv::check(std::slice::from_ref(&case)).remove(0).unwrap();
        for (request, wrong) in case.1.iter().zip(opinion) {
            assert_eq!(wrong, None, "{version}: {request}");
        }
        for method in [
            "initialize",
            "thread/start",
            "thread/resume",
            "turn/start",
            "turn/interrupt",
            "thread/archive",
            "model/list",
            "thread/name/set",
        ] {
            // A Codex that cannot bring a thread back must not be told to archive one.
            let needs = if method == "thread/archive" { "thread/unarchive" } else { method };
            let is_expected = schema_has(&schema, needs);
            let is_sent = methods.iter().any(|sent| sent == method);
            assert_eq!(is_sent, is_expected, "{version}: {method} in {methods:?}");
        }
    }
}

fn schema_has(schema: &Value, method: &str) -> bool {
    schema.to_string().contains(&format!("\"{method}\""))
}

/// A program that is that Codex and writes down what its app-server is told.
fn listening(world: &World, codex: &Path, log: &Path) -> String {
    let script = format!(
        "#!/bin/sh\nif [ \"$1\" = app-server ]; then tee -a {} | {codex} \"$@\"; else exec {codex} \"$@\"; fi\n",
        log.display(),
        codex = codex.display(),
    );
    let path = world.home.path().join("codex");
    testkit::program::write(path, &script).to_string_lossy().into_owned()
}

/// One call of everything that sends something of its own.
async fn everything(world: &World, server: &Client) {
    let call =
        json!({"prompt": "say one", "sessionId": "s", "model": "m", "reasoningEffort": "low"});
    server.call("codex", call).await.ok();
    let schema = json!({"type": "object"});
    for arguments in [
        json!({"prompt": "say {}", "sessionId": "s", "outputSchema": schema, "model": "n"}),
        json!({"prompt": "say wide", "sessionId": "s", "sandbox": "workspace-write"}),
        json!({"prompt": "say found", "sessionId": "s", "webSearch": true, "approvalPolicy": "untrusted"}),
        json!({"prompt": "say gone", "ephemeral": true, "developer-instructions": "Be brief."}),
    ] {
        server.call("codex", arguments).await.ok();
    }
    let slow = json!({"prompt": "slow 60 never", "sessionId": "s", "waitSeconds": 0});
    server.call("codex", slow).await.ok();
    wait_for("the turn to run", || (world.model.open_streams() == 1).then_some(())).await;
    server.call("steer", json!({"sessionId": "s", "prompt": "more"})).await;
    server.call("interrupt", json!({"sessionId": "s"})).await.ok();
    fs::write(world.home.work().join("a.txt"), "changed\n").unwrap();
    for arguments in
        [json!({}), json!({"base": "main"}), json!({"commit": "HEAD"}), json!({"prompt": "all"})]
    {
        server.call("review", arguments).await.ok();
    }
    server.call("forkSession", json!({"sessionId": "s", "turn": 1})).await;
    server.call("listSessions", json!({"includeThreads": true, "workingDirectory": "."})).await;
    server.call("listModels", json!({})).await;
    let adopted = json!({"prompt": "say x", "sessionId": "00000000-0000-4000-8000-000000000000"});
    server.call("codex", adopted).await.ok();
}

/// The schema of requests which that Codex generates.
async fn schema(world: &World, codex: &Path) -> Value {
    let folder = world.home.path().join("schema");
    for more in [&["--experimental"][..], &[]] {
        let status = tokio::process::Command::new(codex)
            .args(["app-server", "generate-json-schema", "--out"])
            .arg(&folder)
            .args(more)
            .env_clear()
            .envs(world.home.env())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .status()
            .await
            .unwrap();
        if status.success() {
            let text = fs::read_to_string(folder.join("ClientRequest.json")).unwrap();
            return serde_json::from_str(&text).unwrap();
        }
    }
    panic!("{} generates no schema", codex.display());
}
