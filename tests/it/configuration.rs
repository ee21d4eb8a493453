//! The configuration as the operator meets it.

use std::{fs, process::Output};

use serde_json::json;
use testkit::Launch;

use crate::support::World;

async fn run(launch: &Launch) -> Output {
    let child = launch.command().spawn().unwrap();
    child.wait_with_output().await.unwrap()
}

#[tokio::test]
async fn config_show_says_what_is_in_force_and_why() {
    let world = World::new().await;
    let folder = world.home.path().join("config/codex-mcp-server");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("config.toml"), "[session]\ncap = 7\n[log]\nlevel = \"warn\"\n").unwrap();
    let launch = world.launch().env("CODEX_DEFAULT_MODEL", "gpt-x").args([
        "config",
        "show",
        "--log-level",
        "error",
    ]);
    let output = run(&launch).await;
    assert!(output.status.success());
    let shown = String::from_utf8(output.stdout).unwrap();
    let has = |setting: &str, place: &str| {
        shown.lines().any(|line| line.starts_with(setting) && line.contains(place))
    };
    assert!(has("cap = 7", "config.toml"), "{shown}");
    assert!(has("model = \"gpt-x\"", "# CODEX_DEFAULT_MODEL"), "{shown}");
    assert!(has("level = \"error\"", "# flag for `log.level`"), "{shown}");
    assert!(has("ttl = \"24h\"", "# default"), "{shown}");
}

#[tokio::test]
async fn a_mistake_ends_the_start_with_a_word_about_it() {
    let world = World::new().await;
    for (args, words) in [
        (["--set", "session.tll=1h"], "tll"),
        (["--set", "session.ttl=soon"], "`soon` is not a length of time"),
        (["--set", "session.ttl=5"], "`5` is not a length of time"),
        (["--config", "/no/such.toml"], "/no/such.toml"),
        (["--log-format", "xml"], "`json`"),
    ] {
        let output = run(&world.launch().args(args)).await;
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(words), "{said}");
        assert!(output.stdout.is_empty());
    }
}

#[tokio::test]
async fn a_tool_that_does_not_exist_is_refused_by_every_subcommand() {
    let world = World::new().await;
    for words in [
        &["serve"][..],
        &["doctor"],
        &["config", "show"],
        &["setup", "cursor", "--print"],
        &["ping"],
        &["sessions", "list"],
    ] {
        let launch = world.launch().args(["--tools", "codex,nope"]);
        let output = run(&words.iter().fold(launch, |launch, word| launch.arg(*word))).await;
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{words:?}: {said}");
        assert!(said.contains("flag for `tools`: there is no tool `nope`"), "{said}");
        assert!(said.contains("listSessions") && output.stdout.is_empty(), "{words:?}: {said}");
    }
    let variable = world.launch().env("CODEX_MCP_SERVER_TOOLS", "nope").args(["doctor"]);
    let said = String::from_utf8(run(&variable).await.stderr).unwrap();
    assert!(said.contains("CODEX_MCP_SERVER_TOOLS: there is no tool"), "{said}");
}

#[tokio::test]
async fn what_would_break_every_call_is_refused() {
    let world = World::new().await;
    for setting in [
        "codex.idle=0s",
        "turn.timeout=0s",
        "turn.silence=0s",
        "turn.question=0s",
        "turn.wait=0s",
        "limits.prompt_characters=0",
        "limits.image_bytes=0",
    ] {
        let output = run(&world.launch().args(["--set", setting])).await;
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{setting}: {said}");
        assert!(said.contains(setting.split('=').next().unwrap()), "{said}");
    }
}

#[tokio::test]
async fn an_empty_variable_is_not_set() {
    let world = World::new().await;
    let mut launch = world.launch().args(["ping"]);
    for name in [
        "CODEX_MCP_SERVER_SESSION_TTL",
        "CODEX_MCP_SERVER_CONFIG",
        "CODEX_MCP_SERVER_TOOLS",
        "CODEX_DEFAULT_MODEL",
        "CODEX_MCP_CALLBACK_URI",
        "STRUCTURED_CONTENT_ENABLED",
        "CLAUDE_CONFIG_DIR",
        "MCP_TOOL_TIMEOUT",
    ] {
        launch = launch.env(name, "");
    }
    let output = run(&launch).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn the_operator_chooses_the_tools() {
    let world = World::new().await;
    let server = world.launch().args(["--tools", "ping,codex"]).connect().await;
    let listed = server.request("tools/list", json!({})).await;
    let tools = listed["result"]["tools"].as_array().unwrap();
    let names: Vec<_> = tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["codex", "ping"]);
    let refused = server.request("tools/call", json!({"name": "help", "arguments": {}})).await;
    assert_eq!(refused["error"]["code"], -32602);
}
