//! The items of a turn.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// One item, as far as we tell of it. A kind or a shape we do not know is [`Item::Other`].
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(crate) enum Item {
    AgentMessage {
        text: String,
    },
    /// What the model is told by a user, with the id that its sender has given it.
    UserMessage {
        #[serde(default)]
        client_id: Option<String>,
        #[serde(default)]
        content: Vec<Value>,
    },
    Reasoning {},
    CommandExecution {
        #[serde(default)]
        id: String,
        command: String,
        #[serde(default)]
        exit_code: Option<i64>,
        #[serde(default)]
        status: String,
        /// What it printed; `exec` has it under another name.
        #[serde(default, alias = "aggregated_output", deserialize_with = "text")]
        aggregated_output: String,
    },
    FileChange {
        #[serde(default)]
        id: String,
        #[serde(default)]
        changes: Vec<Change>,
        #[serde(default)]
        status: String,
    },
    McpToolCall {
        #[serde(default)]
        id: String,
        server: String,
        tool: String,
        #[serde(default, deserialize_with = "word")]
        status: String,
    },
    WebSearch {
        #[serde(default)]
        id: String,
        #[serde(default)]
        query: String,
        #[serde(default)]
        action: Value,
        #[serde(default)]
        results: Value,
    },
    /// What an agent did with its sub-agents; for `spawnAgent` the receivers are new ones.
    CollabAgentToolCall {
        #[serde(default)]
        id: String,
        #[serde(default)]
        tool: String,
        #[serde(default, deserialize_with = "word")]
        status: String,
        #[serde(default)]
        receiver_thread_ids: Vec<String>,
    },
    /// Codex has summed up its context.
    ContextCompaction {},
    /// The same, from the second version of multi-agents on.
    SubAgentActivity {
        agent_thread_id: String,
    },
    #[serde(other)]
    Other,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Change {
    pub(crate) path: String,
    #[serde(default)]
    kind: Value,
    /// How it was changed; the whole content of a new file.
    #[serde(default, deserialize_with = "text")]
    pub(crate) diff: String,
}

/// A text, or nothing.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.unwrap_or_default())
}

/// A word; nothing if it is of another shape.
fn word<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(Value::deserialize(deserializer)?.as_str().unwrap_or_default().to_owned())
}

impl Item {
    /// The text of what a user said.
    pub(crate) fn said(content: &[Value]) -> String {
        let texts = content.iter().filter_map(|part| part.get("text")?.as_str());
        texts.collect::<Vec<_>>().join("\n")
    }

    pub(crate) fn parse(value: &Value) -> Self {
        Self::deserialize(value).unwrap_or_else(|error| {
            tracing::debug!(%error, "an item of a shape we do not know");
            Self::Other
        })
    }
}

impl Change {
    /// `add`, `delete` or `update`; a plain word in old versions, an object in newer ones.
    pub(crate) fn kind(&self) -> &str {
        self.kind.as_str().or_else(|| self.kind.get("type")?.as_str()).unwrap_or("update")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn known_items_are_read_and_others_pass() {
        let run = json!({"type": "commandExecution", "id": "1", "command": "ls", "exitCode": 2});
        assert!(matches!(Item::parse(&run), Item::CommandExecution { exit_code: Some(2), .. }));
        for odd in [json!({"type": "hologram"}), json!({"type": "agentMessage"}), json!(7)] {
            assert_eq!(Item::parse(&odd), Item::Other);
        }
        let patch = json!({"type": "fileChange", "changes": [
            {"path": "a", "kind": {"type": "add"}}, {"path": "b", "kind": "delete"}, {"path": "c"},
        ]});
        let Item::FileChange { changes, .. } = Item::parse(&patch) else { panic!("no patch") };
        assert_eq!(
            changes.iter().map(Change::kind).collect::<Vec<_>>(),
            ["add", "delete", "update"]
        );
    }
}
