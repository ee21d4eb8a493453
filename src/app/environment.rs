//! What this process has from the program that started it. Read in `main` alone.

use std::{collections::BTreeMap, ffi::OsString, path::PathBuf, time::Duration};

use crate::{
    codex::Processes,
    git::{Git, GitEnvironment},
    session::{Tenant, store::PostgresPool},
};

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
    /// The variables that Codex sees, if not all.
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

    /// Git as this process finds it.
    pub fn git(&self) -> Git {
        let folder = self.own_state().map(|state| state.join("git"));
        Git::new(GitEnvironment::of(&self.variables), folder)
    }
}
