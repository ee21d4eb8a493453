//! What Codex answers, as far as we read it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::codex::settings::Sandbox;

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
    pub(crate) sandbox: Option<SandboxPolicy>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ThreadHead {
    pub(crate) id: String,
}

/// A sandbox with all its details, kept as Codex gave it and sent back as it came: the user's own
/// writable roots and network access are in there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SandboxPolicy(Map<String, Value>);

impl SandboxPolicy {
    /// Which of the three it is; none for a kind we do not know.
    pub(crate) fn mode(&self) -> Option<Sandbox> {
        match self.0.get("type")?.as_str()? {
            "readOnly" => Some(Sandbox::ReadOnly),
            "workspaceWrite" => Some(Sandbox::WorkspaceWrite),
            "dangerFullAccess" => Some(Sandbox::DangerFullAccess),
            _ => None,
        }
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct TurnStarted {
    pub(crate) turn: TurnHead,
}

#[derive(Debug, Deserialize)]
pub(crate) struct TurnHead {
    pub(crate) id: String,
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
    pub(crate) sandbox_mode: Option<Sandbox>,
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
    fn a_sandbox_policy_survives_the_round_trip() {
        let sent =
            json!({"type": "workspaceWrite", "writableRoots": ["/a"], "networkAccess": true});
        let policy: SandboxPolicy = serde_json::from_value(sent.clone()).unwrap();
        assert_eq!(policy.mode(), Some(Sandbox::WorkspaceWrite));
        assert_eq!(serde_json::to_value(&policy).unwrap(), sent);
        let newer: SandboxPolicy = serde_json::from_value(json!({"type": "newer"})).unwrap();
        assert_eq!(newer.mode(), None);
    }

    #[test]
    fn an_old_answer_without_settings_is_read() {
        let opened: ThreadOpened =
            serde_json::from_value(json!({"thread": {"id": "t"}, "new": 1})).unwrap();
        assert_eq!(opened.thread.id, "t");
        assert!(opened.model.is_none() && opened.sandbox.is_none());
    }
}
