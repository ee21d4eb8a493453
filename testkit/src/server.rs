//! Starting the server the way an MCP client does.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use tokio::process::Command;

use crate::{Client, Home};

/// How to start one server: its binary, arguments and environment.
#[derive(Debug, Clone)]
pub struct Launch {
    binary: PathBuf,
    args: Vec<String>,
    env: Vec<(String, String)>,
    directory: PathBuf,
}

impl Launch {
    /// A server that lives in `home` and drives the Codex at `codex`.
    pub fn new(binary: impl Into<PathBuf>, home: &Home, codex: &Path) -> Self {
        let mut env = home.env();
        env.push(("CODEX_BIN".to_owned(), codex.to_string_lossy().into_owned()));
        Self { binary: binary.into(), args: Vec::new(), env, directory: home.work() }
    }

    /// Adds command-line arguments.
    #[must_use]
    pub fn args<const N: usize>(mut self, args: [&str; N]) -> Self {
        self.args.extend(args.map(str::to_owned));
        self
    }

    /// Adds one command-line argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Sets an environment variable, or replaces it.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.retain(|(known, _)| known != name);
        self.env.push((name.to_owned(), value.into()));
        self
    }

    /// Removes an environment variable.
    #[must_use]
    pub fn without_env(mut self, name: &str) -> Self {
        self.env.retain(|(known, _)| known != name);
        self
    }

    /// Starts another program than the one that is tested.
    #[must_use]
    pub fn binary(mut self, binary: impl Into<PathBuf>) -> Self {
        self.binary = binary.into();
        self
    }

    /// Starts it in another directory.
    #[must_use]
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = directory.into();
        self
    }

    /// A server in a process of its own instead of a host, whatever the tests are run with.
    #[must_use]
    pub fn alone(self) -> Self {
        self.env("CODEX_MCP_SERVER_HOST_MODE", "off")
    }

    /// Starts the process with piped stdio and says nothing to it yet.
    pub fn spawn(&self) -> Client {
        Client::spawn(self.command())
    }

    /// Starts the process and completes the `initialize` handshake.
    pub async fn connect(&self) -> Client {
        let client = self.spawn();
        client.initialize("2025-11-25").await;
        client
    }

    /// The same as a client whose user can be asked.
    pub async fn connect_with_user(&self) -> Client {
        let client = self.spawn();
        client.initialize_with("2025-11-25", serde_json::json!({"elicitation": {}})).await;
        client
    }

    /// The command itself, for what is not a conversation.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.binary);
        command
            .args(&self.args)
            .env_clear()
            .envs(self.env.iter().cloned())
            .current_dir(&self.directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }
}
