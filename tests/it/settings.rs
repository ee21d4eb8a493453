//! What a call sets stays with the session; what nobody sets comes from the right place.

use std::fs;

use serde_json::json;
use testkit::{CODEX_VERSION, codex_cli};

use crate::support::World;

#[tokio::test]
async fn settings_are_sent_on_every_turn_also_after_a_restart() {
    let world = World::new().await;
    let place = world.home.path().join("elsewhere");
    fs::create_dir_all(&place).unwrap();
    let server = world.server().await;
    let first = json!({"prompt": "settings", "sessionId": "s", "model": "gpt-x",
        "reasoningEffort": "high", "sandbox": "read-only", "workingDirectory": place});
    let first = server.call("codex", first).await.ok();
    assert_eq!(first["response"], "model=gpt-x effort=high");
    assert_eq!((&first["sandbox"], &first["modelSource"]), (&json!("read-only"), &json!("call")));
    server.close().await;

    let server = world.server().await;
    for _ in 0..2 {
        let next = server.call("codex", json!({"prompt": "settings", "sessionId": "s"})).await.ok();
        assert_eq!(next["response"], "model=gpt-x effort=high");
        assert_eq!(
            (&next["sandbox"], &next["modelSource"]),
            (&json!("read-only"), &json!("session"))
        );
        assert_eq!(next["workingDirectory"], json!(place));
    }
    // The one that once wrote a file on its second turn.
    let wrote =
        server.call("codex", json!({"prompt": "run touch was-here", "sessionId": "s"})).await.ok();
    assert_ne!(wrote["commands"][0]["exitCode"], 0, "{}", wrote.raw);
    assert!(!place.join("was-here").exists());
}

#[tokio::test]
async fn a_wider_sandbox_takes_effect_in_mid_session() {
    let world = World::new().await;
    let server = world.server().await;
    server
        .call("codex", json!({"prompt": "say hi", "sessionId": "s", "sandbox": "read-only"}))
        .await
        .ok();
    let write =
        json!({"prompt": "run touch was-here", "sessionId": "s", "sandbox": "workspace-write"});
    let reply = server.call("codex", write).await.ok();
    assert_eq!(reply["sandbox"], "workspace-write");
    assert_eq!(reply["commands"][0]["exitCode"], 0, "{}", reply.raw);
    assert!(world.home.work().join("was-here").exists());
    let history = server.call("codex", json!({"prompt": "history", "sessionId": "s"})).await.ok();
    assert_eq!(history["response"], "say hi\nrun touch was-here");
}

#[tokio::test]
async fn a_model_nobody_chose_comes_from_the_nearest_place() {
    let world = World::new().await;
    let server = world.server().await;
    let reply = server.call("codex", json!({"prompt": "settings"})).await.ok();
    assert_eq!(
        (&reply["model"], &reply["modelSource"]),
        (&json!("gpt-mock"), &json!("codex-config"))
    );

    let server = world.launch().env("CODEX_DEFAULT_MODEL", "gpt-operator").connect().await;
    let reply = server.call("codex", json!({"prompt": "settings"})).await.ok();
    assert_eq!(
        (&reply["model"], &reply["modelSource"]),
        (&json!("gpt-operator"), &json!("operator"))
    );
    assert!(reply["response"].as_str().unwrap().contains("model=gpt-operator"));

    let config = fs::read_to_string(world.home.codex_home().join("config.toml")).unwrap();
    world.home.codex_config(config.strip_prefix("model = \"gpt-mock\"\n").unwrap());
    let server = world.server().await;
    let models = server.call("listModels", json!({})).await.ok();
    let models = models["models"].as_array().unwrap().clone();
    let default = models.iter().find(|model| model["isDefault"] == true).unwrap();
    assert!(!default["reasoningEfforts"].as_array().unwrap().is_empty());
    let reply = server.call("codex", json!({"prompt": "settings"})).await.ok();
    // This Codex offers no gpt-5-codex any more.
    assert_eq!((&reply["model"], &reply["modelSource"]), (&default["id"], &json!("codex-default")));
}

#[tokio::test]
async fn a_model_that_is_refused_does_not_stick() {
    let world = World::new().await;
    let server = world.server().await;
    let bad = json!({"prompt": "settings", "sessionId": "s", "model": "missing-model"});
    let refused = server.call("codex", bad).await.failed_with("model_refused");
    assert!(refused.text.contains("listModels"), "{}", refused.text);
    let next = server.call("codex", json!({"prompt": "settings", "sessionId": "s"})).await.ok();
    assert!(next["response"].as_str().unwrap().contains("model=gpt-mock"), "{}", next.raw);
}

#[tokio::test]
async fn full_auto_may_write_and_never_asks() {
    let world = World::new().await;
    let server = world.server().await;
    let reply =
        server.call("codex", json!({"prompt": "run touch auto", "fullAuto": true})).await.ok();
    assert_eq!(reply["sandbox"], "workspace-write");
    assert_eq!(reply["approvalPolicy"], "never");
    assert!(world.home.work().join("auto").exists());
}

#[tokio::test]
async fn what_codex_asks_is_declined_and_said_so() {
    let world = World::new().await;
    let server = world.server().await;
    let ask = json!({"prompt": "escalate touch /outside", "approvalPolicy": "on-request"});
    let reply = server.call("codex", ask).await.ok();
    let warnings = reply["warnings"].to_string();
    assert!(warnings.contains("declined") && warnings.contains("touch /outside"), "{}", reply.raw);
}

#[tokio::test]
async fn what_a_terminal_was_allowed_is_not_inherited() {
    let world = World::new().await;
    let server = world.launch().args(["--set", "codex.release_after=0s"]).connect().await;
    let ours = server.call("codex", json!({"prompt": "say hi", "sessionId": "s"})).await.ok();
    let thread = ours["threadId"].as_str().unwrap().to_owned();
    let mut said = String::new();
    for _ in 0..20 {
        let output = tokio::process::Command::new(codex_cli::fetch(CODEX_VERSION).unwrap())
            .args(["exec", "--skip-git-repo-check", "-s", "danger-full-access", "resume", &thread])
            .arg("say from the terminal")
            .env_clear()
            .envs(world.home.env())
            .current_dir(world.home.work())
            .stdin(std::process::Stdio::null())
            .output()
            .await
            .unwrap();
        said = String::from_utf8_lossy(&output.stdout).into_owned();
        // The thread may still be held for a moment.
        if !said.is_empty() {
            break;
        }
    }
    assert_eq!(said.trim(), "from the terminal");
    let next = json!({"prompt": "run touch was-here", "sessionId": "s"});
    let next = server.call("codex", next).await.ok();
    assert_eq!((&next["sandbox"], &next["continuity"]), (&json!("read-only"), &json!("resumed")));
    assert!(!world.home.work().join("was-here").exists());
}

#[tokio::test]
async fn the_users_own_wish_stays_under_the_ceiling() {
    let world = World::new().await;
    let config = fs::read_to_string(world.home.codex_home().join("config.toml")).unwrap();
    world.home.codex_config(&format!("sandbox_mode = \"danger-full-access\"\n{config}"));
    let server = world.server().await;
    let reply = server.call("codex", json!({"prompt": "say hi"})).await.ok();
    assert_eq!(reply["sandbox"], "workspace-write");
    let server =
        world.launch().args(["--set", "limits.sandbox_ceiling=danger-full-access"]).connect().await;
    let reply = server.call("codex", json!({"prompt": "say hi"})).await.ok();
    assert_eq!(reply["sandbox"], "danger-full-access");
}
