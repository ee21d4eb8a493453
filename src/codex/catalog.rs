//! What Codex knows besides conversations: the user's defaults, the login, its threads and models.

use std::path::{Path, PathBuf};

use super::{
    ids::ThreadId,
    settings::{EffectiveSettings, Sandbox},
};

/// What the user's own Codex configuration says for a directory.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Defaults {
    /// `model`.
    pub model: Option<String>,
    /// `review_model`: what the user wants reviews to run with.
    pub review_model: Option<String>,
    /// `sandbox_mode`.
    pub sandbox: Option<Sandbox>,
    /// `sandbox_workspace_write.writable_roots`.
    pub writable_roots: Vec<PathBuf>,
    /// The names of Codex's own MCP servers.
    pub mcp_servers: Vec<String>,
}

/// How the user is logged in to Codex.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Login {
    /// By this: `chatgpt`, `apiKey`…
    As(String),
    /// Not at all, although the configured provider needs it.
    Missing,
    /// Not at all, and the configured provider does not need it.
    NotNeeded,
    /// This version cannot tell.
    Unknown,
}

/// A thread that Codex has a record of.
#[derive(Debug, Clone, PartialEq)]
pub struct ThreadInfo {
    /// Codex's name for it.
    pub id: ThreadId,
    /// What it is called, or how it began.
    pub title: String,
    /// Where it worked.
    pub cwd: Option<PathBuf>,
    /// The model it used, if known.
    pub model: Option<String>,
    /// What its last turn ran with, by Codex's own record. `None` in listings, and if the record does not
    /// say.
    pub last_turn: Option<EffectiveSettings>,
    /// When it was last used, in seconds since 1970.
    pub updated_at: i64,
    /// Where it was begun: `cli`, `exec`, `vscode` (which includes ours)…
    pub source: String,
}

/// Which threads to list.
#[derive(Debug, Clone, Copy, Default)]
pub struct ThreadFilter<'a> {
    /// Those that worked in exactly this directory.
    pub cwd: Option<&'a Path>,
    /// Those whose title has this in it.
    pub search: Option<&'a str>,
    /// The end of the page before.
    pub cursor: Option<&'a str>,
    /// How many.
    pub limit: u32,
}

/// A model that Codex offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// What to pass as `model`.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Whether Codex uses it by default.
    pub is_default: bool,
    /// The reasoning efforts it takes, lowest first.
    pub efforts: Vec<String>,
    /// The effort it uses by default.
    pub default_effort: Option<String>,
}

impl ThreadInfo {
    /// What the record of a thread says, where Codex cannot be asked.
    pub(super) fn recorded(id: ThreadId, last_turn: EffectiveSettings) -> Self {
        Self {
            id,
            title: String::new(),
            cwd: Some(last_turn.working_directory.clone()),
            model: last_turn.model.clone(),
            last_turn: Some(last_turn),
            updated_at: 0,
            source: "other".to_owned(),
        }
    }
}
