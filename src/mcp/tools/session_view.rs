//! How a session looks in listings.

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde_with::skip_serializing_none;

use crate::session::{ApprovalPolicy, Sandbox, SessionName, SessionRecord, Usage};

#[skip_serializing_none]
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SessionView {
    /// The session's name; pass it as sessionId.
    id: String,
    /// What it is about, if its name was made up: how its first prompt begins.
    title: Option<String>,
    /// When it was made (RFC 3339).
    created_at: String,
    /// When it was last used.
    last_accessed_at: String,
    /// When it ends unless it is used before.
    expires_at: String,
    /// How many turns it has.
    turn_count: u32,
    /// How many turns wait for it; absent if none does.
    queued: Option<u32>,
    /// What its last turn came to: new (none yet), running, completed, interrupted or failed.
    status: &'static str,
    /// Codex's own id of the conversation.
    thread_id: Option<String>,
    /// The same, under its older name.
    codex_conversation_id: Option<String>,
    /// The model its last turn ran with, else the one its calls chose.
    model: Option<String>,
    /// The reasoning effort its last turn ran with, else the one its calls chose.
    reasoning_effort: Option<String>,
    /// The sandbox its last turn ran with, else the one its calls chose.
    sandbox: Option<&'static str>,
    /// The approval policy its last turn ran with, else the one its calls chose.
    approval_policy: Option<&'static str>,
    /// Where Codex works.
    working_directory: Option<String>,
    /// Tokens of all its turns together.
    usage: Usage,
    /// The Codex that ran its last turn.
    codex_version: Option<String>,
}

impl SessionView {
    /// The session, and how many turns wait for it.
    pub(super) fn of(record: SessionRecord, waiting: &HashMap<SessionName, u32>) -> Self {
        let queued = waiting.get(&record.name).copied();
        Self { queued, ..Self::from(record) }
    }
}

impl From<SessionRecord> for SessionView {
    fn from(record: SessionRecord) -> Self {
        let turn_count = record.turn_count();
        let chosen = record.settings;
        let with = record.effective;
        let directory = with.as_ref().map(|with| with.working_directory.clone());
        let thread_id = record.thread_id.map(|id| id.to_string());
        Self {
            id: record.name.to_string(),
            title: record.details.title,
            created_at: record.created_at.to_string(),
            last_accessed_at: record.last_accessed_at.to_string(),
            expires_at: record.expires_at.to_string(),
            turn_count,
            queued: None,
            status: record.status.as_str(),
            codex_conversation_id: thread_id.clone(),
            thread_id,
            model: with.as_ref().and_then(|with| with.model.clone()).or(chosen.model),
            reasoning_effort: with
                .as_ref()
                .and_then(|with| with.reasoning_effort.clone())
                .or(chosen.reasoning_effort),
            sandbox: with
                .as_ref()
                .and_then(|with| with.sandbox)
                .or(chosen.sandbox)
                .map(Sandbox::as_str),
            approval_policy: with
                .map(|with| with.approval_policy)
                .or(chosen.approval_policy)
                .map(ApprovalPolicy::as_str),
            working_directory: directory
                .or(chosen.working_directory)
                .map(|path| path.display().to_string()),
            usage: record.usage,
            codex_version: record.codex_version,
        }
    }
}
