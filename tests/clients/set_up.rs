//! `setup` with the clients' own commands: what it writes, they connect to.

use std::path::Path;

use tokio::process::Command;

use crate::world::{CLAUDE_CODE, GEMINI, OPENCODE, World, fetched, run, said};

/// Our own command line, which finds the client's on PATH.
fn ours(world: &World, client: &Path) -> Command {
    let mut command = world.command(Path::new(World::server()));
    let own = world.command(client);
    let path = own.as_std().get_envs().find(|(name, _)| *name == "PATH").unwrap().1.unwrap();
    let path = format!("{}:{}", client.parent().unwrap().display(), path.to_str().unwrap());
    command.env("PATH", path).env("CODEX_HOME", world.client.path().join(".codex"));
    command
}

/// Sets up, looks at what the client says, sets up again, and takes it out.
async fn set_up(name: &str, program: &Path, look: &[&str], connected: &str) {
    let world = World::new().await;
    std::fs::create_dir(world.client.path().join(".codex")).unwrap();
    let looked = || {
        let mut client = world.command(program);
        client
            .args(look)
            .env("GEMINI_CLI_TRUST_WORKSPACE", "true")
            .env("npm_config_offline", "true");
        client.env("OPENCODE_DISABLE_AUTOUPDATE", "1").env("OPENCODE_DISABLE_MODELS_FETCH", "1");
        client
    };
    let written = run(ours(&world, program).args(["setup", name])).await;
    assert!(written.contains("+++ "), "{written}");
    let shown = self::shown(&mut looked()).await;
    assert!(shown.contains("codex") && shown.contains(connected), "{name}: {shown}");
    let again = run(ours(&world, program).args(["setup", name])).await;
    assert!(again.contains("nothing to do"), "{name}: {again}");
    let changed = run(ours(&world, program).args(["--set", "session.cap=7", "setup", name])).await;
    assert!(changed.contains("session.cap=7"), "{name}: {changed}");
    let shown = self::shown(&mut looked()).await;
    assert!(shown.contains(connected), "{name}: {shown}");
    let removed = run(ours(&world, program).args(["setup", name, "--remove"])).await;
    assert!(removed.contains("taken out of"), "{name}: {removed}");
    let again = run(ours(&world, program).args(["setup", name, "--remove"])).await;
    assert!(again.contains("nothing to do"), "{name}: {again}");
}

/// Sets up a server over HTTP, whose token is in a variable, and looks at what the client says.
async fn set_up_over_http(name: &str, program: &Path, look: &[&str], connected: &str) {
    let world = World::new().await;
    std::fs::create_dir(world.client.path().join(".codex")).unwrap();
    let (server, token) = world.http().await;
    let words = ["setup", name, "--url", server.url(), "--token-env", "TEAM_TOKEN"];
    let written = run(ours(&world, program).args(words)).await;
    assert!(written.contains(server.url()) && !written.contains(&token), "{written}");
    let looked = async |token: &str| {
        let mut client = world.command(program);
        client.args(look).env("TEAM_TOKEN", token).env("GEMINI_CLI_TRUST_WORKSPACE", "true");
        client.env("npm_config_offline", "true").env("OPENCODE_DISABLE_AUTOUPDATE", "1");
        client.env("OPENCODE_DISABLE_MODELS_FETCH", "1");
        shown(&mut client).await
    };
    let good = looked(&token).await;
    assert!(good.contains("codex") && good.contains(connected), "{name}: {good}");
    if name != "codex" {
        let bad = looked("nonsense").await;
        assert!(!bad.contains(&format!("✓ {connected}")), "{name}: {bad}");
    }
    let again = run(ours(&world, program).args(words)).await;
    assert!(again.contains("nothing to do"), "{name}: {again}");
    let removed = run(ours(&world, program).args(["setup", name, "--remove", "--force"])).await;
    assert!(removed.contains("taken out of"), "{name}: {removed}");
}

/// Some clients print their lists on stderr.
async fn shown(command: &mut Command) -> String {
    let (out, err) = said(command).await;
    out + &err
}

#[tokio::test]
async fn claude_code() {
    let claude = fetched(CLAUDE_CODE, "claude");
    set_up("claude-code", &claude, &["mcp", "list"], "Connected").await;
    set_up_over_http("claude-code", &claude, &["mcp", "list"], "Connected").await;
}

#[tokio::test]
async fn codex_itself() {
    set_up("codex", &World::codex(), &["mcp", "list"], "enabled").await;
    set_up_over_http("codex", &World::codex(), &["mcp", "list"], "enabled").await;
}

#[tokio::test]
async fn gemini_cli() {
    let gemini = fetched(GEMINI, "gemini");
    set_up("gemini", &gemini, &["mcp", "list"], "Connected").await;
    set_up_over_http("gemini", &gemini, &["mcp", "list"], "Connected").await;
}

#[tokio::test]
async fn opencode() {
    let opencode = fetched(OPENCODE, "opencode");
    set_up("opencode", &opencode, &["mcp", "list"], "connected").await;
    set_up_over_http("opencode", &opencode, &["mcp", "list"], "connected").await;
}
