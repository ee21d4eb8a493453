//! An interactive Claude Code that follows a task to its end: in a terminal of its own, by tmux.

use std::{path::Path, process::Stdio, time::Duration};

use serde_json::json;
use testkit::{Agent, Dialect, ToolUse, wait_for};
use tokio::process::Command;

use crate::world::{World, fetched};

/// The first version that follows tasks without being told to.
const CLAUDE_CODE: (&str, &str) = ("@anthropic-ai/claude-code", "2.1.331");

/// The end of it is what Claude Code remembers as approved.
const API_KEY: &str = "loopback-key-of-the-stand-in";

/// What Claude Code says once it has the result of the task.
const DELIVERED: &str = "MCP task s:1 (cx/codex) completed";

/// How long the screen may take to show something.
const SHOWN: Duration = Duration::from_mins(1);

/// A terminal with a program in it. Dropping it ends both.
struct Terminal {
    socket: String,
}

impl Terminal {
    /// Starts a program in a terminal.
    async fn new(world: &World, name: &str, words: &[&str]) -> Self {
        let socket = world.client.path().join(name).to_string_lossy().into_owned();
        let terminal = Self { socket };
        let size = ["new-session", "-d", "-x", "140", "-y", "50", "--"];
        let mut tmux = terminal.tmux();
        tmux.args(size).args(words);
        for (name, value) in world.command(Path::new("x")).as_std().get_envs() {
            tmux.env(name, value.unwrap_or_default());
        }
        let started = tmux.env("TERM", "xterm-256color").current_dir(world.client.path()).status();
        assert!(started.await.unwrap().success());
        terminal
    }

    fn tmux(&self) -> Command {
        let mut tmux = Command::new("tmux");
        tmux.args(["-f", "/dev/null", "-S", &self.socket]).stdin(Stdio::null());
        tmux
    }

    async fn screen(&self) -> String {
        let shown = self.tmux().args(["capture-pane", "-p"]).output().await.unwrap();
        String::from_utf8_lossy(&shown.stdout).into_owned()
    }

    /// Types keys by their tmux names.
    async fn press(&self, keys: &[&str]) {
        assert!(self.tmux().arg("send-keys").args(keys).status().await.unwrap().success());
    }

    /// Presses a key until the screen shows something. A form that has just appeared may not listen yet.
    async fn press_until(&self, key: &str, text: &str) {
        let started = std::time::Instant::now();
        while !self.screen().await.contains(text) {
            assert!(started.elapsed() < SHOWN, "never shown: {text}\n{}", self.screen().await);
            self.press(&[key]).await;
            for _ in 0..20 {
                if self.screen().await.contains(text) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }

    /// Waits until its program has ended.
    async fn ended(&self) {
        let started = std::time::Instant::now();
        let mut tmux = self.tmux();
        tmux.arg("has-session").stderr(Stdio::null());
        while tmux.status().await.unwrap().success() {
            assert!(started.elapsed() < SHOWN, "goes on: {}", self.screen().await);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits until the screen shows something.
    async fn until(&self, text: &str) -> String {
        let started = std::time::Instant::now();
        loop {
            let screen = self.screen().await;
            if screen.contains(text) {
                return screen;
            }
            assert!(started.elapsed() < SHOWN, "never shown: {text}\n{screen}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let mut tmux = std::process::Command::new("tmux");
        drop(tmux.args(["-S", &self.socket, "kill-server"]).stderr(Stdio::null()).status());
    }
}

fn settle(world: &World) {
    let (_, approved) = API_KEY.split_at(API_KEY.len() - 20);
    let project = json!({"hasTrustDialogAccepted": true, "hasCompletedProjectOnboarding": true});
    let state = json!({
        "hasCompletedOnboarding": true, "theme": "dark", "numStartups": 9,
        "customApiKeyResponses": {"approved": [approved], "rejected": []},
        "projects": {world.client.path().to_string_lossy(): project},
    });
    world.file(".claude.json", &state.to_string());
}

async fn claude(world: &World, agent: &Agent, name: &str, more: &[&str]) -> Terminal {
    let servers = json!({"mcpServers": {"cx": world.entry()}});
    let servers = world.file("mcp.json", &servers.to_string());
    let url = format!("ANTHROPIC_BASE_URL={}", agent.url());
    let key = format!("ANTHROPIC_API_KEY={API_KEY}");
    let program = fetched(CLAUDE_CODE, "claude");
    let words = [
        "env",
        &url,
        &key,
        "DISABLE_AUTOUPDATER=1",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1",
        program.to_str().unwrap(),
        "--strict-mcp-config",
        "--mcp-config",
        servers.to_str().unwrap(),
        "--allowedTools",
        "mcp__cx",
        "--permission-mode",
        "default",
    ];
    Terminal::new(world, name, &[&words[..], more].concat()).await
}

/// A Claude Code that has just been asked for something, for which it calls Codex with this prompt.
async fn begun(world: &World, prompt: &str) -> (Agent, Terminal) {
    settle(world);
    let call = ToolUse::new("codex", json!({"prompt": prompt, "sessionId": "s"}));
    let agent = Agent::start(Dialect::Messages, "cx", vec![call]).await;
    let terminal = claude(world, &agent, "first", &[]).await;
    terminal.until("❯").await;
    terminal.press(&["-l", "go"]).await;
    terminal.press(&["Enter"]).await;
    (agent, terminal)
}

#[tokio::test]
async fn claude_code_collects_a_task_in_another_window() {
    let world = World::new().await;
    let (agent, terminal) = begun(&world, "slow 15 at last").await;
    wait_for("the task", || agent.shown().pop()).await;
    terminal.until("● done").await;
    terminal.press(&["-l", "/exit"]).await;
    terminal.press(&["Enter"]).await;
    terminal.until("Exit and stop tasks").await;
    terminal.press(&["Enter"]).await;
    terminal.ended().await;
    let terminal = claude(&world, &agent, "second", &["--continue"]).await;
    terminal.until(DELIVERED).await;
    wait_for("the result", || agent.has_heard("<status>completed</status>").then_some(())).await;
}

#[tokio::test]
async fn claude_code_shows_what_is_asked_in_a_task() {
    let world = World::new().await;
    let (_agent, terminal) = begun(&world, "escalate touch made").await;
    terminal.until("touch made").await;
    // Opens the choices, takes the first, and sends the form.
    for (key, shown) in [("Right", "Yes, this once"), ("Enter", "✔ Decision"), ("Enter", DELIVERED)]
    {
        terminal.press_until(key, shown).await;
    }
    assert!(world.client.path().join("made").exists());
}
