//! `doctor`: each trouble has a name and a fix.

use std::process::{Output, Stdio};

use serde_json::Value;
use testkit::{CODEX_VERSION, Launch, codex_cli};

use crate::support::World;

async fn examined(launch: Launch) -> (Value, Output) {
    let output =
        launch.args(["doctor", "--json"]).command().stdin(Stdio::null()).output().await.unwrap();
    let found = serde_json::from_slice(&output.stdout);
    (found.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr))), output)
}

fn check<'a>(found: &'a Value, name: &str) -> &'a Value {
    let checks = found["checks"].as_array().unwrap();
    checks
        .iter()
        .find(|check| check["name"] == name)
        .unwrap_or_else(|| panic!("no {name}: {found}"))
}

#[tokio::test]
async fn a_healthy_set_up_is_said_to_be_one() {
    let world = World::new().await;
    let (found, output) = examined(world.launch().arg("--log-level").arg("error")).await;
    assert_eq!((found["ok"].as_bool(), output.status.code()), (Some(true), Some(0)), "{found}");
    assert!(check(&found, "codex")["detail"].as_str().unwrap().contains(CODEX_VERSION));
    assert!(check(&found, "codex")["detail"].as_str().unwrap().contains("app-server"));
    assert_eq!(check(&found, "model")["detail"], "gpt-mock (codex-config)");
    assert!(check(&found, "store")["detail"].as_str().unwrap().ends_with("sqlite3: 0 sessions"));
    assert_eq!(world.model.requests().len(), 0);
    let live = world.launch().args(["doctor", "--live"]);
    let output = live.command().stdin(Stdio::null()).output().await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("✓ turn ") && text.ends_with("All is well.\n"), "{text}");
    assert_eq!(world.model.requests().len(), 1);
    let listed = world.launch().args(["listSessions"]).command().output().await.unwrap();
    assert_eq!(String::from_utf8(listed.stdout).unwrap(), "no sessions\n");
}

#[tokio::test]
async fn every_trouble_has_a_fix() {
    let world = World::new().await;
    let nowhere = world.home.path().join("nowhere").display().to_string();
    let blocked = world.home.path().join("blocked");
    std::fs::write(&blocked, "a file").unwrap();
    let under = blocked.join("s.sqlite3").display().to_string();
    let cases: [(Launch, &str, &str); 5] = [
        (world.launch().env("CODEX_BIN", &nowhere), "codex", "install"),
        (world.launch().args(["--store", &under]), "store", "--store memory"),
        (world.launch().args(["--store", "memory"]), "store", "store.kind"),
        (
            world.launch().arg("--set").arg(format!("limits.roots={nowhere}")),
            "limits",
            "limits.roots",
        ),
        (world.launch().args(["--set", "defaults.model=m"]), "model", ""),
    ];
    for (launch, name, fix) in cases {
        let (found, _) = examined(launch).await;
        let check = check(&found, name);
        if fix.is_empty() {
            assert_eq!(check["detail"], "m (operator)");
        } else {
            assert_ne!(check["status"], "ok", "{found}");
            assert!(check["fix"].as_str().unwrap().contains(fix), "{found}");
        }
    }
    world.home.codex_config("");
    let (found, output) = examined(world.launch()).await;
    assert_eq!(
        (&check(&found, "login")["status"], output.status.code()),
        (&"trouble".into(), Some(1))
    );
    assert_eq!(check(&found, "login")["fix"], "codex login");
    world.home.codex_config("model = [1]");
    let (found, _) = examined(world.launch()).await;
    assert_eq!(found["ok"], false, "{found}");
}

#[tokio::test]
async fn an_old_codex_is_said_to_lack_something_and_works() {
    let world = World::new().await;
    let codex = codex_cli::fetch("0.66.0").unwrap();
    let launch =
        world.launch().env("CODEX_BIN", codex.to_string_lossy()).arg("--log-level").arg("error");
    let output =
        launch.args(["doctor", "--live", "--json"]).command().stdin(Stdio::null()).output().await;
    let found: Value = serde_json::from_slice(&output.unwrap().stdout).unwrap();
    assert_eq!(found["ok"], true, "{found}");
    assert_eq!(check(&found, "codex")["status"], "warning");
    assert_eq!(check(&found, "turn")["status"], "ok", "{found}");
}

#[tokio::test]
async fn a_configuration_that_codex_cannot_read_is_named() {
    let world = World::new().await;
    world.home.codex_config("model = ");
    let output = world.launch().args(["doctor"]).command().output().await.unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{shown}");
    assert!(shown.contains("config.toml") && !shown.contains("logged in"), "{shown}");
}
