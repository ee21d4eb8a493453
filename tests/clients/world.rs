//! A world for a client: homes for it and for our server, both quiet and without a login.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use serde_json::{Value, json};
use testkit::{CODEX_VERSION, Home, HttpServer, Launch, Model, codex_cli, npm};
use tokio::process::Command;

pub(crate) const NODE: &str = "22.23.3";
pub(crate) const CLAUDE_CODE: (&str, &str) = ("@anthropic-ai/claude-code", "2.1.330");
pub(crate) const GEMINI: (&str, &str) = ("@google/gemini-cli", "0.61.0");
pub(crate) const OPENCODE: (&str, &str) = ("opencode-ai", "1.18.33");

/// How long one client may take for its whole conversation.
const LIMIT: Duration = Duration::from_mins(3);

/// What keeps Codex from looking for anything off this machine.
const QUIET: &str = "\n[analytics]\nenabled = false\n[features]\nplugins = false\n";

#[derive(Debug)]
pub(crate) struct World {
    /// The model of the Codex behind our server.
    _model: Model,
    /// Where our server and the Codex behind it live.
    pub(crate) home: Home,
    /// Where the client lives.
    pub(crate) client: tempfile::TempDir,
}

impl World {
    pub(crate) async fn new() -> Self {
        let model = Model::start().await;
        let home = Home::new(&model.url());
        home.add_codex_config(QUIET);
        Self { _model: model, home, client: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn server() -> &'static str {
        env!("CARGO_BIN_EXE_codex-mcp-server")
    }

    pub(crate) fn codex() -> PathBuf {
        codex_cli::fetch(CODEX_VERSION).unwrap_or_else(|reason| panic!("{reason}"))
    }

    /// The environment of our server, which clients do not hand down.
    pub(crate) fn env(&self) -> Value {
        let mut env: serde_json::Map<String, Value> =
            self.home.env().into_iter().map(|(name, value)| (name, value.into())).collect();
        env.insert("CODEX_BIN".to_owned(), Self::codex().to_string_lossy().into());
        Value::Object(env)
    }

    /// How to start our server.
    pub(crate) fn launch(&self) -> Launch {
        Launch::new(Self::server(), &self.home, &Self::codex())
    }

    /// The configuration of our server over HTTP, with one tenant.
    pub(crate) fn http_config(&self) -> PathBuf {
        let config = self.home.path().join("http.toml");
        let roots = self.home.work().display().to_string();
        fs::write(&config, format!("[tenants.team]\nroots = [{roots:?}]\n")).unwrap();
        let codex = self.home.state().join("codex-mcp-server/tenants/team/codex");
        fs::create_dir_all(&codex).unwrap();
        // Of the server's variables it sees none.
        let own = fs::read_to_string(self.home.codex_home().join("config.toml")).unwrap();
        fs::write(codex.join("config.toml"), own.replace("env_key = \"MOCK_KEY\"\n", "")).unwrap();
        config
    }

    /// Our server as it is started with a configuration.
    pub(crate) async fn serve_with(&self, config: &Path) -> HttpServer {
        let launch = self.launch().arg("--config").arg(config.to_string_lossy());
        HttpServer::start(&launch.args(["serve", "--http", "127.0.0.1:0"])).await
    }

    /// A token for its tenant.
    pub(crate) async fn token(&self) -> String {
        let made = self.launch().args(["token", "new", "--tenant", "team"]).command().output();
        String::from_utf8(made.await.unwrap().stdout).unwrap().trim().to_owned()
    }

    /// Our server over HTTP with one tenant, and a token of it.
    pub(crate) async fn http(&self) -> (HttpServer, String) {
        (self.serve_with(&self.http_config()).await, self.token().await)
    }

    /// Our server as most clients are told of it.
    pub(crate) fn entry(&self) -> Value {
        json!({"command": Self::server(), "args": [], "env": self.env()})
    }

    /// The same, or our server over HTTP, which is the second and has to live as long as the client.
    pub(crate) async fn entry_for(&self, over_http: bool) -> (Value, Option<HttpServer>) {
        if !over_http {
            return (self.entry(), None);
        }
        let (server, token) = self.http().await;
        let headers = json!({"Authorization": format!("Bearer {token}")});
        let entry = json!({"type": "http", "url": server.url(), "headers": headers});
        (entry, Some(server))
    }

    /// Writes a file of the client's.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.client.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// A command of a client, in a home of its own.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        let node = fetched(("node", NODE), "node");
        let path = format!("{}:{}", node.parent().unwrap().display(), env!("PATH"));
        command.env_clear().env("PATH", path).env("HOME", self.client.path());
        command.env("NO_COLOR", "1").current_dir(self.client.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.kill_on_drop(true);
        command
    }
}

/// A program of an npm package.
pub(crate) fn fetched(package: (&str, &str), program: &str) -> PathBuf {
    let (name, version) = package;
    let home = npm::fetch(name, version).unwrap_or_else(|reason| panic!("{reason}"));
    home.join("node_modules/.bin").join(program)
}

/// Runs a program to its end: whether it was content, and what it printed.
pub(crate) async fn said_anyhow(command: &mut Command) -> (bool, String) {
    let output = tokio::time::timeout(LIMIT, command.output()).await;
    let output = output.unwrap_or_else(|_| panic!("{command:?} did not end")).unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs a client to its end; what it printed on stdout.
pub(crate) async fn run(command: &mut Command) -> String {
    said(command).await.0
}

/// The same, and what it printed on stderr.
pub(crate) async fn said(command: &mut Command) -> (String, String) {
    let output = tokio::time::timeout(LIMIT, command.output()).await;
    let output = output.unwrap_or_else(|_| panic!("{command:?} did not end")).unwrap();
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{out}\n{err}", output.status);
    (out.into_owned(), err.into_owned())
}
