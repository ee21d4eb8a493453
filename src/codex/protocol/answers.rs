//! What Codex answers, as far as we read it.

use std::path::PathBuf;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::codex::{
    settings::Sandbox,
    usage::{Credits, RateLimits},
};

/// An answer with nothing in it for us.
#[derive(Debug, Deserialize)]
pub(crate) struct Empty {}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Initialized {
    #[serde(default)]
    pub(crate) user_agent: String,
}

/// The answer to `thread/start` and `thread/resume`: what is really in force.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ThreadOpened {
    pub(crate) thread: ThreadHead,
    #[serde(default)]
    pub(crate) model: Option<String>,
    #[serde(default)]
    pub(crate) reasoning_effort: Option<String>,
    #[serde(default)]
    pub(crate) sandbox: Option<Value>,
    #[serde(default)]
    pub(crate) approvals_reviewer: Value,
    /// A word, or an object for policies this server never asks for.
    #[serde(default)]
    pub(crate) approval_policy: Value,
    #[serde(default)]
    pub(crate) cwd: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ThreadHead {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) cwd: Option<PathBuf>,
    #[serde(default)]
    pub(crate) model: Option<String>,
    /// Where its record is.
    #[serde(default)]
    pub(crate) path: Option<PathBuf>,
    #[serde(default)]
    pub(crate) preview: String,
    #[serde(default)]
    pub(crate) name: Option<String>,
    /// Seconds since 1970.
    #[serde(default)]
    pub(crate) updated_at: i64,
    /// A word, or an object for those started by other threads.
    #[serde(default)]
    pub(crate) source: Value,
    /// The thread that started this one as its sub-agent.
    #[serde(default)]
    pub(crate) parent_thread_id: Option<String>,
    #[serde(default)]
    pub(crate) agent_nickname: Option<String>,
    #[serde(default)]
    pub(crate) agent_role: Option<String>,
}

impl ThreadHead {
    /// The thread that started this one, if it is a sub-agent's. Older versions say it in the source.
    pub(crate) fn parent(&self) -> Option<&str> {
        let spawned = || self.source.pointer("/subAgent/thread_spawn/parent_thread_id")?.as_str();
        self.parent_thread_id.as_deref().or_else(spawned)
    }

    /// What to call a sub-agent.
    pub(crate) fn agent(&self) -> Option<&str> {
        let spawned =
            |key: &str| self.source.pointer(&format!("/subAgent/thread_spawn/{key}"))?.as_str();
        let name = self.agent_nickname.as_deref().or(self.agent_role.as_deref());
        name.or_else(|| spawned("agent_nickname")).or_else(|| spawned("agent_role"))
    }
}

/// The answer to `thread/read`.
#[derive(Debug, Deserialize)]
pub(crate) struct ThreadRead {
    pub(crate) thread: ThreadHead,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ThreadList {
    pub(crate) data: Vec<ThreadHead>,
    #[serde(default)]
    pub(crate) next_cursor: Option<String>,
}

/// What Codex works towards on a thread, turn after turn.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
pub(crate) struct Goal {
    pub(crate) thread_id: String,
    pub(crate) objective: String,
    pub(crate) status: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct GoalRead {
    #[serde(default)]
    pub(crate) goal: Option<Goal>,
}

/// A goal was made or has changed.
#[derive(Debug, Deserialize)]
pub(crate) struct GoalUpdated {
    pub(crate) goal: Goal,
}

impl Goal {
    /// Whether Codex begins turns for it.
    pub(crate) fn is_active(&self) -> bool {
        self.status == "active"
    }
}

/// A sandbox with its details.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SandboxPolicy {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    pub(crate) writable_roots: Vec<PathBuf>,
    #[serde(default)]
    pub(crate) network_access: Option<bool>,
}

impl SandboxPolicy {
    /// Which of the three it is; none for a kind we do not know.
    pub(crate) fn mode(&self) -> Option<Sandbox> {
        match self.kind.as_str() {
            "readOnly" => Some(Sandbox::ReadOnly),
            "workspaceWrite" => Some(Sandbox::WorkspaceWrite),
            "dangerFullAccess" => Some(Sandbox::DangerFullAccess),
            _ => None,
        }
    }
}

/// The messages that wait in Codex for a thread.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct QueueRead {
    #[serde(default)]
    pub(crate) data: Vec<Value>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct TurnStarted {
    pub(crate) turn: TurnHead,
}

#[derive(Debug, Deserialize)]
pub(crate) struct TurnHead {
    pub(crate) id: String,
}

/// News of the account's allowance; sparse.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RateLimitsUpdated {
    pub(crate) rate_limits: RateLimits,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RateLimitsRead {
    pub(crate) rate_limits: RateLimitsOfAccount,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RateLimitsOfAccount {
    #[serde(flatten)]
    pub(crate) windows: RateLimits,
    #[serde(default)]
    pub(crate) credits: Option<Credits>,
    #[serde(default)]
    pub(crate) plan_type: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AccountRead {
    #[serde(default)]
    pub(crate) account: Option<Value>,
    #[serde(default)]
    pub(crate) requires_openai_auth: bool,
}

/// The user's configuration; its keys are Codex's own, in snake case.
#[derive(Debug, Deserialize)]
pub(crate) struct ConfigRead {
    pub(crate) config: UserConfig,
}

#[derive(Debug, Deserialize)]
pub(crate) struct UserConfig {
    #[serde(default)]
    pub(crate) model: Option<String>,
    #[serde(default)]
    pub(crate) model_provider: Option<String>,
    #[serde(default)]
    pub(crate) review_model: Option<String>,
    #[serde(default)]
    pub(crate) sandbox_mode: Option<Sandbox>,
    #[serde(default)]
    pub(crate) sandbox_workspace_write: Option<Map<String, Value>>,
    #[serde(default)]
    pub(crate) mcp_servers: Option<Map<String, Value>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ModelList {
    pub(crate) data: Vec<ListedModel>,
    #[serde(default)]
    pub(crate) next_cursor: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ListedModel {
    pub(crate) model: String,
    #[serde(default)]
    pub(crate) display_name: String,
    #[serde(default)]
    pub(crate) description: String,
    #[serde(default)]
    pub(crate) hidden: bool,
    #[serde(default)]
    pub(crate) is_default: bool,
    #[serde(default)]
    pub(crate) default_reasoning_effort: Option<String>,
    #[serde(default)]
    pub(crate) supported_reasoning_efforts: Vec<ListedEffort>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ListedEffort {
    pub(crate) reasoning_effort: String,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_sandbox_is_known_by_its_kind() {
        let mode = |policy| serde_json::from_value::<SandboxPolicy>(policy).unwrap().mode();
        let policy = json!({"type": "workspaceWrite", "writableRoots": ["/a"]});
        assert_eq!(mode(policy), Some(Sandbox::WorkspaceWrite));
        assert_eq!(mode(json!({"type": "newer"})), None);
    }

    #[test]
    fn an_old_answer_without_settings_is_read() {
        let opened: ThreadOpened =
            serde_json::from_value(json!({"thread": {"id": "t"}, "new": 1})).unwrap();
        assert_eq!(opened.thread.id, "t");
        assert!(opened.model.is_none() && opened.sandbox.is_none());
    }
}
