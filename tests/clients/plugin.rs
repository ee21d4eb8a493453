//! The plugin in the real Claude Code, Codex and Gemini CLI: installed from this checkout, each command called.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use testkit::{Agent, Dialect, Home, ToolUse, wait_for};
use tokio::process::Command;

use crate::world::{CLAUDE_CODE, GEMINI, World, fetched, run, said};

/// The name Claude Code gives the plugin's server.
const SERVER: &str = "plugin_codex_codex";

fn checkout() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A command of a client that finds our program on PATH, with the environment our server needs.
fn client(world: &World, program: &Path) -> Command {
    let mut command = world.command(program);
    let node = command.as_std().get_envs().find(|(name, _)| *name == "PATH").unwrap().1.unwrap();
    let ours = Path::new(World::server()).parent().unwrap();
    let path = format!("{}:{}", ours.display(), node.to_str().unwrap());
    for (name, value) in world.env().as_object().unwrap() {
        if name != "HOME" {
            command.env(name, value.as_str().unwrap());
        }
    }
    command.env("PATH", path);
    command
}

/// Claude Code with a stand-in for its model.
fn claude(world: &World, agent: &Agent) -> Command {
    let mut claude = client(world, &fetched(CLAUDE_CODE, "claude"));
    claude.env("DISABLE_AUTOUPDATER", "1").env("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1");
    claude.env("ANTHROPIC_BASE_URL", agent.url()).env("ANTHROPIC_API_KEY", "loopback");
    claude.env("MCP_CONNECTION_NONBLOCKING", "0");
    claude.current_dir(project(world));
    claude
}

/// Where Claude Code works: a repository with a change.
fn project(world: &World) -> PathBuf {
    world.home.work()
}

async fn installed() -> World {
    let world = World::new().await;
    world.home.repository();
    fs::write(project(&world).join("a.txt"), "one\ntwo\n").unwrap();
    let agent = Agent::start(Dialect::Messages, SERVER, Vec::new()).await;
    let market = checkout().to_str().unwrap();
    for words in [&["marketplace", "add", market][..], &["install", "codex@codex-mcp-server"]] {
        run(claude(&world, &agent).arg("plugin").args(words)).await;
    }
    world
}

/// Says `prompt` to Claude Code, whose model then makes these calls. Returns what Claude Code ended with.
async fn say(world: &World, prompt: &str, calls: Vec<ToolUse>) -> (Value, Agent) {
    let agent = Agent::start(Dialect::Messages, SERVER, calls).await;
    let mut claude = claude(world, &agent);
    claude.args(["-p", prompt, "--output-format", "json", "--permission-mode", "acceptEdits"]);
    let text = run(&mut claude).await;
    let ended = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{prompt}: {text}"));
    (ended, agent)
}

#[tokio::test]
async fn it_is_valid_and_two_commands_install_it() {
    let world = installed().await;
    let agent = Agent::start(Dialect::Messages, SERVER, Vec::new()).await;
    for folder in [checkout().to_owned(), checkout().join("plugin")] {
        let folder = folder.to_str().unwrap();
        let said =
            run(claude(&world, &agent).args(["plugin", "validate", folder, "--strict"])).await;
        assert!(said.contains("Validation passed"), "{said}");
    }
    let listed = run(claude(&world, &agent).args(["plugin", "list", "--json"])).await;
    assert!(listed.contains("codex@codex-mcp-server"), "{listed}");
    let servers = run(claude(&world, &agent).args(["mcp", "list"])).await;
    assert!(servers.contains("codex") && servers.contains("Connected"), "{servers}");
}

#[tokio::test]
async fn each_command_calls_its_tool() {
    let world = installed().await;
    let session = json!({"sessionId": "s"});
    let ask = json!({"prompt": "say one", "sessionId": "s"});
    let review = json!({"uncommitted": true});
    let adversarial = json!({"style": "adversarial", "uncommitted": true});
    let slow = json!({"prompt": "slow 60 never", "sessionId": "slow", "waitSeconds": 0});
    for (prompt, calls, shown) in [
        ("/codex:ask s: what's \"in\" $HOME?", vec![ToolUse::new("codex", ask)], "one"),
        ("/codex:review look for secrets", vec![ToolUse::new("review", review)], "needs attention"),
        ("/codex:adversarial-review", vec![ToolUse::new("review", adversarial)], "needs attention"),
        (
            "/codex:status",
            vec![ToolUse::new("listSessions", json!({})), ToolUse::new("usage", json!({}))],
            "totalTokens",
        ),
        ("/codex:result s", vec![ToolUse::new("wait", session.clone())], "one"),
        (
            "/codex:resume s",
            vec![
                ToolUse::new("getSession", session),
                ToolUse::new("codex", json!({"prompt": "history", "sessionId": "s"})),
            ],
            "say one",
        ),
        ("/codex:rescue mend it", vec![ToolUse::new("codex", slow)], "running"),
        (
            "/codex:cancel slow",
            vec![ToolUse::new("interrupt", json!({"sessionId": "slow"}))],
            "interrupted",
        ),
    ] {
        let count = calls.len();
        let (ended, agent) = say(&world, prompt, calls).await;
        assert_eq!(ended["permission_denials"], json!([]), "{prompt}: {ended}");
        let all = agent.shown();
        assert_eq!(all.len(), count, "{prompt}: {ended}");
        assert!(all.iter().any(|text| text.contains(shown)), "{prompt}: {all:?}");
        let words = prompt.split_once(' ').map_or("", |(_, words)| words);
        let words = Value::from(words).to_string();
        assert!(agent.has_heard(words.trim_matches('"')), "{prompt}");
    }
}

#[tokio::test]
async fn a_rescued_task_outlives_its_window() {
    let world = installed().await;
    let task = json!({"prompt": "slow 6 rescued", "sessionId": "task", "waitSeconds": 0});
    let (ended, _) =
        say(&world, "/codex:rescue the build", vec![ToolUse::new("codex", task)]).await;
    assert_eq!(ended["permission_denials"], json!([]), "{ended}");
    let wait = ToolUse::new("wait", json!({"sessionId": "task"}));
    let (ended, agent) = say(&world, "/codex:result task", vec![wait]).await;
    assert_eq!(ended["permission_denials"], json!([]), "{ended}");
    assert!(agent.shown()[0].contains("rescued"), "{:?}", agent.shown());
}

#[tokio::test]
async fn windows_in_one_project_share_a_host() {
    let world = installed().await;
    let call = json!({"prompt": "slow 60 x", "sessionId": "s", "waitSeconds": 0});
    let agent = Agent::start(Dialect::Messages, SERVER, vec![ToolUse::new("codex", call)]).await;
    let window = || {
        let mut claude = claude(&world, &agent);
        claude.args(["-p", "/codex:rescue it"]);
        claude
    };
    let (mut one, mut two) = (window(), window());
    tokio::join!(run(&mut one), run(&mut two));
    let mut host = client(&world, Path::new(World::server()));
    let status = run(host.args(["host", "status", "--json"])).await;
    let status: Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status["hosts"].as_array().unwrap().len(), 1, "{status}");
}

#[tokio::test]
async fn what_was_said_becomes_a_session() {
    let world = installed().await;
    let id = "7b1c0f0e-5f1d-4c6e-9a55-0e2a6b3c4d5e";
    let agent = Agent::start(Dialect::Messages, SERVER, Vec::new()).await;
    run(claude(&world, &agent).args(["-p", "Remember the blue door.", "--session-id", id])).await;
    let said = run(claude(&world, &agent).args(["-p", "/codex:transfer", "--resume", id])).await;
    assert!(said.contains("done"), "{said}");
    assert!(agent.has_heard("has this conversation (1 exchanges); Codex knows all of it"));
    let mut ours = client(&world, Path::new(World::server()));
    let listed = run(ours.args(["listSessions", "--json"]).current_dir(project(&world))).await;
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed["sessions"][0]["title"], "Remember the blue door.", "{listed}");
    let session = listed["sessions"][0]["id"].as_str().unwrap();
    let mut ours = client(&world, Path::new(World::server()));
    ours.args(["codex", "--json", "--sessionId", session, "history"]).current_dir(project(&world));
    let next: Value = serde_json::from_str(&run(&mut ours).await).unwrap();
    assert_eq!(
        (&next["response"], &next["continuity"]),
        (&json!("Remember the blue door."), &json!("resumed")),
        "{next}"
    );
}

#[tokio::test]
async fn the_gate_blocks_once_and_says_how_to_turn_it_off() {
    let world = installed().await;
    let edit = |text: &str| {
        let file = project(&world).join("a.txt");
        vec![ToolUse::own("Write", json!({"file_path": file, "content": text}))]
    };
    let read = || ToolUse::own("Read", json!({"file_path": project(&world).join("a.txt")}));
    let with_read = |text: &str| [vec![read()], edit(text)].concat();
    // Off until somebody turns it on.
    let (_, agent) = say(&world, "change it", with_read("one\nthree\n")).await;
    assert!(!agent.has_heard("BLOCK"));
    let (ended, agent) = say(&world, "/codex:gate-on", Vec::new()).await;
    assert!(agent.has_heard("The gate is on for"), "{ended}");
    // Nothing has changed, so nothing is reviewed.
    let (_, agent) = say(&world, "say something", Vec::new()).await;
    assert!(!agent.has_heard("Codex reviewed"));
    // The stand-in of Codex's model finds something in the first lines of a.txt.
    let (ended, agent) = say(&world, "change it again", with_read("one\nfour\nfive\n")).await;
    assert!(agent.has_heard("BLOCK: Codex reviewed what this turn has changed"), "{ended}");
    assert!(agent.has_heard("Counts wrong") && agent.has_heard("/codex:gate-off"));
    assert!(!agent.has_heard("Says too little"), "a trifle that is elsewhere");
    // It does not block for the same twice in a row, and blocks for it again after that.
    let (_, agent) = say(&world, "and again", with_read("one\nsix\nseven\n")).await;
    assert!(!agent.has_heard("BLOCK: Codex reviewed"));
    let (_, agent) = say(&world, "once more", with_read("one\neight\nnine\n")).await;
    assert!(agent.has_heard("BLOCK: Codex reviewed"));
    // What goes wrong here lets the turn end, and is said.
    let agent = Agent::start(Dialect::Messages, SERVER, with_read("x\ny\n")).await;
    let mut broken = claude(&world, &agent);
    broken.env("CODEX_BIN", "/nowhere").env("CODEX_MCP_SERVER_HOST_MODE", "off");
    broken.args(["-p", "break it", "--permission-mode", "acceptEdits"]);
    broken.args(["--output-format", "stream-json", "--verbose"]);
    let (out, _) = said(&mut broken).await;
    assert!(out.contains("This turn was not reviewed"), "{out}");
    let (_, agent) = say(&world, "/codex:gate-off", Vec::new()).await;
    assert!(agent.has_heard("The gate is off for"));
    let (_, agent) = say(&world, "the last one", with_read("one\nten\n")).await;
    assert!(!agent.has_heard("BLOCK: Codex reviewed"));
}

#[tokio::test]
async fn without_the_program_the_way_to_get_it_is_said() {
    let world = installed().await;
    let agent = Agent::start(Dialect::Messages, SERVER, Vec::new()).await;
    let mut claude = claude(&world, &agent);
    let bare = world.command(Path::new("x"));
    let path = bare.as_std().get_envs().find(|(name, _)| *name == "PATH").unwrap().1.unwrap();
    claude.env("PATH", path).args(["-p", "/codex:ask hi"]);
    run(&mut claude).await;
    assert!(agent.has_heard("its program codex-mcp-server is not installed"));
}

#[tokio::test]
async fn the_agent_asks_codex_itself() {
    let world = installed().await;
    let agent = Agent::start(
        Dialect::Messages,
        SERVER,
        vec![ToolUse::own(
            "Agent",
            json!({"subagent_type": "codex:second-opinion", "description": "ask", "prompt": "Ask Codex.", "run_in_background": false}),
        )],
    )
    .await;
    let mut claude = claude(&world, &agent);
    claude.args(["-p", "go", "--allowedTools", "mcp__plugin_codex_codex"]);
    run(&mut claude).await;
    // Its request has our tools, and its own words.
    assert!(agent.has_heard("You ask Codex, another coding model"));
    assert!(agent.has_heard("mcp__plugin_codex_codex__review"));
}

#[tokio::test]
async fn codex_takes_it_too() {
    let world = World::new().await;
    let call = ToolUse::new("codex", json!({"prompt": "say from within", "sessionId": "c"}));
    let agent = Agent::start(Dialect::Responses, "codex", vec![call]).await;
    // Codex passes hardly any variables on: the Codex of our server has the same home and model as the one that asks.
    let mut config =
        Home::provider(&format!("{}/v1", agent.url())).replace("env_key = \"MOCK_KEY\"\n", "");
    config += "[analytics]\nenabled = false\n[plugins.\"codex@codex-mcp-server\".mcp_servers.codex]\n\
               default_tools_approval_mode = \"approve\"\n";
    world.file(".codex/config.toml", &config);
    let codex = |words: &[&str]| {
        let mut codex = client(&world, &World::codex());
        let path = codex.as_std().get_envs().find(|(name, _)| *name == "PATH").unwrap().1.unwrap();
        let program = World::codex();
        let path = format!("{}:{}", program.parent().unwrap().display(), path.to_str().unwrap());
        codex.args(words).env("CODEX_HOME", world.client.path().join(".codex")).env("PATH", path);
        codex
    };
    let market = checkout().to_str().unwrap();
    run(&mut codex(&["plugin", "marketplace", "add", market])).await;
    run(&mut codex(&["plugin", "add", "codex@codex-mcp-server"])).await;
    let said = run(&mut codex(&["exec", "--json", "--skip-git-repo-check", "go"])).await;
    let calls: Vec<Value> =
        said.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let called =
        calls.iter().find_map(|event| event["item"]["result"]["structured_content"].as_object());
    let result = called.unwrap_or_else(|| panic!("{said}"));
    // Its server is started in the folder of the plugin; the session works where the one that asks does.
    let directory = world.client.path().canonicalize().unwrap();
    assert_eq!(
        (&result["status"], &result["workingDirectory"]),
        (&json!("completed"), &json!(directory)),
        "{said}"
    );
    // The Codex of our server has the plugin too, and cannot ask itself.
    assert!(agent.shown().iter().any(|shown| shown.contains("recursion")), "{:?}", agent.shown());
}

#[tokio::test]
async fn gemini_takes_it_too() {
    let world = World::new().await;
    let call = ToolUse::new("codex", json!({"prompt": "say to gemini", "sessionId": "g"}));
    let agent = Agent::start(Dialect::Gemini, "codex", vec![call]).await;
    let settings = json!({
        "security": {"auth": {"selectedType": "gemini-api-key"}},
        "privacy": {"usageStatisticsEnabled": false},
    });
    world.file(".gemini/settings.json", &settings.to_string());
    let gemini = |words: &[&str]| {
        let mut gemini = client(&world, &fetched(GEMINI, "gemini"));
        gemini.args(words).env("GEMINI_API_KEY", "loopback");
        gemini.env("GOOGLE_GEMINI_BASE_URL", agent.url()).env("GEMINI_CLI_TRUST_WORKSPACE", "true");
        gemini.env("GEMINI_CLI_NO_RELAUNCH", "true");
        gemini
    };
    let plugin = checkout().join("plugin");
    run(&mut gemini(&["extensions", "validate", plugin.to_str().unwrap()])).await;
    run(&mut gemini(&["extensions", "install", plugin.to_str().unwrap(), "--consent"])).await;
    let (_, complaints) = said(&mut gemini(&["-p", "go", "--yolo", "-m", "mock"])).await;
    assert!(!complaints.contains("Error loading agent"), "{complaints}");
    wait_for("the call", || {
        agent.shown().first().cloned().filter(|shown| shown.contains("to gemini"))
    })
    .await;
}
