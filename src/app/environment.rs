//! What this process has from the program that started it. Read in `main` alone.

use std::{collections::BTreeMap, ffi::OsString, path::PathBuf, time::Duration};

use crate::{
    codex::Processes,
    config::{Config, StoreKind, secret_variables},
    git::{Git, GitEnvironment},
    serve::Role,
    session::{Tenant, store::PostgresPool},
};

/// What a collector is told who we are with.
const COLLECTOR: &[&str] = &["OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"];

/// What a database is logged in to with, where it is ours.
const DATABASE: &[&str] = &["PGPASSWORD", "PGPASSFILE"];

/// The program that is nothing but a bridge or a reaper. It is beside ours, or its work is done by ours.
pub(super) const SMALL_PROGRAM: &str = "codex-mcp-bridge";

/// What the process inherits from the program that started it.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// Where the server was started.
    pub directory: PathBuf,
    /// The user's home.
    pub home: Option<PathBuf>,
    /// Codex's own folder.
    pub codex_home: PathBuf,
    /// Where programs keep state.
    pub state_folder: Option<PathBuf>,
    /// Where programs keep sockets, if the system has such a folder.
    pub runtime_folder: Option<PathBuf>,
    /// `PATH`.
    pub path: Option<OsString>,
    /// All variables.
    pub variables: BTreeMap<OsString, OsString>,
    /// What starts Codex, if not this process by itself.
    pub launcher: Vec<String>,
    /// Whose sessions are served. `None` for the operator's own.
    pub tenant: Option<Tenant>,
    /// A file with an API key for Codex.
    pub api_key: Option<PathBuf>,
    /// The places of running Codex processes, if they are limited.
    pub processes: Option<Processes>,
    /// The database that sessions are kept in, once it is connected to.
    pub database: Option<PostgresPool>,
    /// The variables that Codex sees, if not those of every child.
    pub codex_variables: Option<BTreeMap<OsString, OsString>>,
    /// How long the client that started us waits for a call. `None` if it does not say.
    pub client_limit: Option<Duration>,
    /// Where programs keep their configuration, as Unix programs do.
    pub config_folder: Option<PathBuf>,
    /// Where desktop programs keep theirs on this system.
    pub app_folder: Option<PathBuf>,
    /// Claude Code's own folder, if it was moved.
    pub claude_folder: Option<PathBuf>,
    /// This program.
    pub executable: PathBuf,
}

impl Environment {
    /// Where this program keeps what lasts.
    pub fn own_state(&self) -> Option<PathBuf> {
        self.state_folder.as_ref().map(|folder| folder.join("codex-mcp-server"))
    }

    /// What every child of ours sees of the environment: all but this program's own secrets. These are settings that hold
    /// one (`CODEX_MCP_SERVER_STORE_URL`), and what it logs in to its database and its collector with.
    pub fn for_children(&self, config: &Config) -> BTreeMap<OsString, OsString> {
        let has_database = config.store.kind == StoreKind::Postgres;
        let own = secret_variables();
        let is_secret = |name: &OsString| {
            own.iter().any(|secret| name == secret.as_str())
                || COLLECTOR.iter().any(|secret| name == secret)
                || has_database && DATABASE.iter().any(|secret| name == secret)
        };
        let variables = self.variables.iter().filter(|(name, _)| !is_secret(name));
        variables.map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// What a Codex is started through, so that nothing that it starts gets away from it. Nothing where the system cannot
    /// do that.
    pub fn reaper(&self) -> Vec<OsString> {
        if !cfg!(target_os = "linux") {
            return Vec::new();
        }
        // The small program, if it is there: it is all that such a process has in memory.
        let small = self.executable.with_file_name(SMALL_PROGRAM);
        let program = if small.is_file() { small } else { self.executable.clone() };
        vec![program.into(), Role::Reaper.word().into()]
    }

    /// Git as this process finds it.
    pub fn git(&self) -> Git {
        let folder = self.own_state().map(|state| state.join("git"));
        Git::new(GitEnvironment::of(&self.variables), folder)
    }
}
