//! What is asked of Codex besides threads: the user's defaults, and the models there are.

use std::path::{Path, PathBuf};

use super::connection::Connection;
use crate::codex::{
    error::CodexError,
    protocol::{
        ConfigRead, ConfigReadParams, ModelList, ModelListParams, ThreadHead, ThreadList,
        ThreadListParams, ThreadParams, ThreadRead,
    },
    settings::Sandbox,
    turn::ThreadId,
};

/// What the user's own Codex configuration says for a directory.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Defaults {
    /// `model`.
    pub model: Option<String>,
    /// `sandbox_mode`.
    pub sandbox: Option<Sandbox>,
    /// The names of Codex's own MCP servers.
    pub mcp_servers: Vec<String>,
}

/// Who is logged in to Codex.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Login {
    /// Somebody is, this way: `chatgpt`, `apiKey`…
    As(String),
    /// Nobody, and the configured provider asks for it.
    Missing,
    /// Nobody, and nobody has to be.
    NotNeeded,
    /// This Codex cannot be asked.
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
    /// Whether Codex takes it when nobody chooses.
    pub is_default: bool,
    /// The reasoning efforts it takes, lowest first.
    pub efforts: Vec<String>,
    /// The effort it uses when nobody chooses.
    pub default_effort: Option<String>,
}

impl Defaults {
    pub(super) async fn read(connection: &Connection, cwd: &Path) -> Result<Self, CodexError> {
        match connection.call::<ConfigRead>("config/read", ConfigReadParams { cwd }).await {
            Ok(ConfigRead { config }) => {
                let servers = config.mcp_servers.unwrap_or_default();
                let mcp_servers = servers.into_iter().map(|(name, _)| name).collect();
                Ok(Self { model: config.model, sandbox: config.sandbox_mode, mcp_servers })
            }
            Err(CodexError::Refused { message, .. }) => {
                tracing::debug!(message, "this Codex does not tell its configuration");
                Ok(Self::default())
            }
            Err(error) => Err(error),
        }
    }
}

impl ThreadInfo {
    /// What Codex knows of a thread; none if it has no record of it or cannot say.
    pub(super) async fn read(
        connection: &Connection,
        thread: &ThreadId,
    ) -> Result<Option<Self>, CodexError> {
        let params = ThreadParams { thread_id: &thread.0 };
        match connection.call::<ThreadRead>("thread/read", params).await {
            Ok(ThreadRead { thread }) => Ok(Some(thread.into())),
            Err(CodexError::Refused { message, .. }) => {
                tracing::debug!(%thread, message, "Codex does not know this thread");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// One page of the threads there are, and where the next begins.
    pub(super) async fn list(
        connection: &Connection,
        filter: ThreadFilter<'_>,
    ) -> Result<(Vec<Self>, Option<String>), CodexError> {
        let params = ThreadListParams {
            cwd: filter.cwd,
            search_term: filter.search,
            cursor: filter.cursor,
            limit: filter.limit,
            source_kinds: ["cli", "exec", "vscode", "appServer"],
        };
        let page: ThreadList = connection.call("thread/list", params).await?;
        Ok((page.data.into_iter().map(Self::from).collect(), page.next_cursor))
    }
}

impl From<ThreadHead> for ThreadInfo {
    fn from(head: ThreadHead) -> Self {
        Self {
            id: ThreadId(head.id),
            title: head.name.filter(|name| !name.is_empty()).unwrap_or(head.preview),
            cwd: head.cwd,
            model: head.model,
            updated_at: head.updated_at,
            source: head.source.as_str().unwrap_or("other").to_owned(),
        }
    }
}

impl Model {
    pub(super) async fn list(connection: &Connection) -> Result<Vec<Self>, CodexError> {
        let mut models = Vec::new();
        let mut cursor = None;
        loop {
            let page: ModelList = connection.call("model/list", ModelListParams { cursor }).await?;
            let visible = page.data.into_iter().filter(|model| !model.hidden);
            models.extend(visible.map(|model| {
                Self {
                    id: model.model,
                    name: model.display_name,
                    description: model.description,
                    is_default: model.is_default,
                    efforts: model
                        .supported_reasoning_efforts
                        .into_iter()
                        .map(|effort| effort.reasoning_effort)
                        .collect(),
                    default_effort: model.default_reasoning_effort,
                }
            }));
            cursor = page.next_cursor;
            if cursor.is_none() {
                return Ok(models);
            }
        }
    }
}
