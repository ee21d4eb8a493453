//! Agents that hold a conversation: what their model is shown has the answer, the session and the errors.

use serde_json::{Value, json};
use testkit::{Agent, Dialect, Home, ToolUse};

use crate::world::{CLAUDE_CODE, GEMINI, OPENCODE, World, fetched, run};

/// The name our server has in every client.
const SERVER: &str = "cx";

/// Two turns of one session, what there is, and two mistakes.
async fn agent(dialect: Dialect) -> Agent {
    let calls = [
        ("codex", json!({"prompt": "say one", "sessionId": "s"})),
        ("codex", json!({"prompt": "history", "sessionId": "s"})),
        ("listSessions", json!({})),
        ("getSession", json!({"sessionId": "nope"})),
        ("codex", json!({"prompt": "say no", "workingDirectory": "/nope"})),
    ];
    let calls = calls.map(|(name, arguments)| ToolUse::new(name, arguments));
    Agent::start(dialect, SERVER, calls.into()).await
}

fn assert_shown(agent: &Agent, said: &str) {
    assert!(said.contains("done"), "{said}");
    let shown: Vec<String> = agent.shown().iter().map(|text| text.replace("\\\"", "\"")).collect();
    let [first, second, sessions, unknown, directory] = shown.as_slice() else {
        panic!("{shown:#?}");
    };
    let names_session =
        |text: &str| text.contains("session s ") || text.contains("\"sessionId\":\"s\"");
    assert!(first.contains("one") && names_session(first), "{first}");
    assert!(second.contains("say one") && names_session(second), "{second}");
    assert!(second.contains("resumed"), "{second}");
    assert!(sessions.contains("turnCount") && sessions.contains("expiresAt"), "{sessions}");
    assert!(unknown.contains("There is no session `nope`"), "{unknown}");
    // Over HTTP it is not even looked for.
    let is_explained =
        directory.contains("does not exist") || directory.contains("is not below any");
    assert!(directory.contains("/nope") && is_explained, "{directory}");
}

#[tokio::test]
async fn claude_code() {
    for (era, over_http) in [("auto", false), ("legacy", false), ("auto", true), ("legacy", true)] {
        let (world, agent) = (World::new().await, agent(Dialect::Messages).await);
        let (entry, _server) = world.entry_for(over_http).await;
        let servers = json!({"mcpServers": {SERVER: entry}});
        let servers = world.file("mcp.json", &servers.to_string());
        let mut claude = world.command(&fetched(CLAUDE_CODE, "claude"));
        claude.args(["-p", "go", "--strict-mcp-config", "--allowedTools", "mcp__cx"]);
        claude.args(["--output-format", "json", "--mcp-config"]).arg(&servers);
        claude.env("DISABLE_AUTOUPDATER", "1").env("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1");
        claude.env("ANTHROPIC_BASE_URL", agent.url()).env("ANTHROPIC_API_KEY", "loopback");
        if era == "legacy" {
            claude.env("MCP_PROTOCOL_NEGOTIATION", era);
        }
        let said: Value = serde_json::from_str(&run(&mut claude).await).unwrap();
        assert_eq!(said["permission_denials"], json!([]), "{said}");
        assert_shown(&agent, said["result"].as_str().unwrap());
    }
}

#[tokio::test]
async fn codex_itself() {
    for over_http in [false, true] {
        codex_over(over_http).await;
    }
}

async fn codex_over(over_http: bool) {
    let (world, agent) = (World::new().await, agent(Dialect::Responses).await);
    let (mut entry, _server) = world.entry_for(over_http).await;
    let mut token = String::new();
    if over_http {
        let bearer = entry["headers"]["Authorization"].as_str().unwrap().to_owned();
        bearer.strip_prefix("Bearer ").unwrap().clone_into(&mut token);
        entry = json!({"url": entry["url"], "bearer_token_env_var": "CX_TOKEN"});
    }
    let entry = toml::Value::try_from(entry).unwrap();
    let mut config: toml::Table = Home::provider(&format!("{}/v1", agent.url())).parse().unwrap();
    let quiet = "analytics.enabled = false\nfeatures.plugins = false\n[mcp_servers.cx]\n\
                 default_tools_approval_mode = 'approve'\nrequired = true\n";
    config.extend(quiet.parse::<toml::Table>().unwrap());
    config["mcp_servers"]["cx"].as_table_mut().unwrap().extend(entry.as_table().unwrap().clone());
    world.file(".codex/config.toml", &config.to_string());
    let mut codex = world.command(&World::codex());
    codex.args(["exec", "--json", "--skip-git-repo-check", "go"]).env("MOCK_KEY", "loopback");
    codex.env("CX_TOKEN", token);
    assert_shown(&agent, &run(&mut codex).await);
}

#[tokio::test]
async fn gemini_cli() {
    for over_http in [false, true] {
        gemini_over(over_http).await;
    }
}

async fn gemini_over(over_http: bool) {
    let (world, agent) = (World::new().await, agent(Dialect::Gemini).await);
    let (mut entry, _server) = world.entry_for(over_http).await;
    if over_http {
        entry = json!({"type": "http", "url": entry["url"], "headers": entry["headers"]});
    }
    let settings = json!({
        "security": {"auth": {"selectedType": "gemini-api-key"}},
        "privacy": {"usageStatisticsEnabled": false}, "mcpServers": {SERVER: entry},
    });
    world.file(".gemini/settings.json", &settings.to_string());
    let mut gemini = world.command(&fetched(GEMINI, "gemini"));
    gemini.args(["-p", "go", "--yolo", "-m", "mock"]).env("GEMINI_API_KEY", "loopback");
    gemini.env("GOOGLE_GEMINI_BASE_URL", agent.url()).env("GEMINI_CLI_TRUST_WORKSPACE", "true");
    gemini.env("GEMINI_CLI_NO_RELAUNCH", "true");
    assert_shown(&agent, &run(&mut gemini).await);
}

#[tokio::test]
async fn opencode() {
    for over_http in [false, true] {
        opencode_over(over_http).await;
    }
}

async fn opencode_over(over_http: bool) {
    let (world, agent) = (World::new().await, agent(Dialect::Chat).await);
    let (entry, server) = world.entry_for(over_http).await;
    let options = json!({"baseURL": format!("{}/v1", agent.url())});
    let provider =
        json!({"npm": "@ai-sdk/openai-compatible", "options": options, "models": {"m": {}}});
    let entry = if server.is_some() {
        json!({"type": "remote", "url": entry["url"], "headers": entry["headers"]})
    } else {
        json!({"type": "local", "command": [World::server()], "environment": world.env()})
    };
    let config = json!({"model": "mock/m", "provider": {"mock": provider}, "mcp": {SERVER: entry}});
    world.file("opencode.json", &config.to_string());
    let mut opencode = world.command(&fetched(OPENCODE, "opencode"));
    opencode.args(["run", "--title", "t", "go"]).env("npm_config_offline", "true");
    opencode.env("OPENCODE_DISABLE_AUTOUPDATE", "1").env("OPENCODE_DISABLE_MODELS_FETCH", "1");
    assert_shown(&agent, &run(&mut opencode).await);
}
