//! What is asked of Codex besides threads and turns.

use std::path::Path;

use super::{connection::Connection, refusal};
use crate::codex::{
    catalog::{Defaults, Model, ThreadFilter, ThreadInfo},
    error::CodexError,
    ids::ThreadId,
    protocol::{
        ConfigRead, ConfigReadParams, Empty, ModelList, ModelListParams, NoParams, QueueRead,
        RateLimitsOfAccount, RateLimitsRead, ThreadHead, ThreadList, ThreadListParams,
        ThreadNameParams, ThreadParams, ThreadRead,
    },
    record,
    usage::AccountLimits,
    version::CodexVersion,
};

/// How many messages wait in Codex for a thread, as far as one answer tells.
///
/// # Errors
/// If Codex dies.
pub(super) async fn queued(
    connection: &Connection,
    thread: &ThreadId,
) -> Result<usize, CodexError> {
    if connection.found().version < CodexVersion::QUEUES {
        return Ok(0);
    }
    let params = ThreadParams { thread_id: &thread.0 };
    match connection.call::<QueueRead>("thread/queue/list", params).await {
        Ok(QueueRead { data }) => Ok(data.len()),
        // It has no queues, or does not know this thread, which the next request is told of.
        Err(CodexError::Refused { .. }) => Ok(0),
        Err(error) => Err(error),
    }
}

impl Defaults {
    pub(in crate::codex) async fn read(
        connection: &Connection,
        cwd: &Path,
    ) -> Result<Self, CodexError> {
        match connection.call::<ConfigRead>("config/read", ConfigReadParams { cwd }).await {
            Ok(ConfigRead { config }) => {
                let servers = config.mcp_servers.unwrap_or_default();
                let mcp_servers = servers.into_iter().map(|(name, _)| name).collect();
                Ok(Self {
                    model: config.model,
                    review_model: config.review_model,
                    sandbox: config.sandbox_mode,
                    writable_roots: config
                        .sandbox_workspace_write
                        .and_then(|mut section| section.remove("writable_roots"))
                        .and_then(|roots| serde_json::from_value(roots).ok())
                        .unwrap_or_default(),
                    mcp_servers,
                })
            }
            Err(error) => match refusal::configuration(error) {
                CodexError::Refused { message, .. } => {
                    tracing::debug!(message, "this Codex does not tell its configuration");
                    Ok(Self::default())
                }
                error => Err(error),
            },
        }
    }
}

impl ThreadInfo {
    /// What Codex knows of a thread. `None` if it has no record of it or cannot be asked.
    pub(in crate::codex) async fn read(
        connection: &Connection,
        thread: &ThreadId,
    ) -> Result<Option<Self>, CodexError> {
        let params = ThreadParams { thread_id: &thread.0 };
        match connection.call::<ThreadRead>("thread/read", params).await {
            Ok(ThreadRead { mut thread }) => {
                let record = thread.path.take();
                let mut info = Self::from(thread);
                if let Some(record) = record {
                    info.last_turn = record::last_turn(record).await;
                }
                if let Some(last) = &info.last_turn {
                    info.model = info.model.or_else(|| last.model.clone());
                }
                Ok(Some(info))
            }
            Err(CodexError::Refused { message, .. }) => {
                tracing::debug!(%thread, message, "Codex does not know this thread");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// One page of the threads there are, and where the next begins.
    pub(in crate::codex) async fn list(
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

impl AccountLimits {
    pub(in crate::codex) async fn read(connection: &Connection) -> Result<Self, CodexError> {
        let read: RateLimitsRead = connection.call("account/rateLimits/read", NoParams {}).await?;
        let RateLimitsOfAccount { windows, credits, plan_type } = read.rate_limits;
        Ok(Self { limits: windows, plan: plan_type, credits })
    }
}

/// Gives a thread a name, whether or not it is loaded.
pub(in crate::codex) async fn name_thread(
    connection: &Connection,
    thread: &ThreadId,
    name: &str,
) -> Result<(), CodexError> {
    let version = connection.found().version;
    if version < CodexVersion::THREAD_NAMES {
        return Err(CodexError::Unsupported { what: "names of threads", version });
    }
    let params = ThreadNameParams { thread_id: &thread.0, name };
    connection.call::<Empty>("thread/name/set", params).await.map(drop)
}

impl From<ThreadHead> for ThreadInfo {
    fn from(head: ThreadHead) -> Self {
        Self {
            id: ThreadId(head.id),
            title: head.name.filter(|name| !name.is_empty()).unwrap_or(head.preview),
            cwd: head.cwd,
            model: head.model,
            last_turn: None,
            updated_at: head.updated_at,
            source: head.source.as_str().unwrap_or("other").to_owned(),
        }
    }
}

impl Model {
    pub(in crate::codex) async fn list(connection: &Connection) -> Result<Vec<Self>, CodexError> {
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
