//! What happens in a turn, one thing each: what Codex reports, and what the turn's owner adds. Plain data.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One thing in a turn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum TurnItem {
    /// Codex said something.
    Message { text: String },
    /// The message that is the turn's answer, as its place in a record: the text is the record's `response`.
    Answer {},
    /// A command.
    Command {
        command: String,
        /// Its exit code. `None` if it was declined or has not ended.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        exit_code: Option<i64>,
        state: ItemState,
        /// The end of what it printed.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        output: String,
    },
    /// Files that Codex changes together.
    Files { changes: Vec<FileChange>, state: ItemState },
    /// A call of a tool of one of Codex's own MCP servers.
    Tool { server: String, tool: String, state: ItemState },
    /// What Codex does with a sub-agent, in Codex's word for it.
    Agent { tool: String, state: ItemState },
    /// A search of the web, and the pages that it found or opened.
    Search {
        query: String,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        sources: Vec<String>,
    },
    /// The plan, as it is now.
    Plan { steps: Vec<PlannedStep> },
    /// What Codex asked, and what it was told. Its owner adds it.
    Approval {
        /// What was asked, in short.
        asked: String,
        /// The sub-agent that asked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        agent: Option<String>,
        /// The answer, in the word for it in forms. `None` while there is none, or if Codex waits no more.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        decision: Option<String>,
        /// Who gave it. `None` if it was declined without an answer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
        /// When it was given; before that, when Codex asked.
        #[schemars(with = "String")]
        at: Timestamp,
    },
    /// What Codex was told besides while it worked. Its owner adds it.
    Steer { prompt: String },
    /// Codex warned of something.
    Warning { message: String },
    /// Something failed and Codex tried again, so many times in a row; the last reason.
    Retry { reason: String, times: u32 },
    /// Codex summed up its context to make room.
    Compaction {},
    /// What happened here and is not kept, because there was too much of it.
    Cut { items: u32 },
}

/// How far an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ItemState {
    /// It has begun and not ended; not ever, if its turn is over.
    Running,
    /// It has ended.
    Done,
    /// It was not allowed.
    Declined,
    /// It could not be done.
    Failed,
}

/// A command Codex ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CommandRun {
    pub command: String,
    // `None` if it was declined or did not end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i64>,
}

/// A file Codex changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileChange {
    /// Where it is.
    pub path: String,
    /// `add`, `update` or `delete`.
    pub kind: String,
    /// How it was changed: of a new or a deleted file its content. Empty if Codex does not say.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub diff: String,
}

/// A file Codex changed, without how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ChangedFile {
    pub path: String,
    pub kind: String,
}

/// A step of the model's plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedStep {
    pub step: String,
    /// `pending`, `inProgress` or `completed`.
    pub status: String,
}

/// Tells an item that Codex reports from the others of its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ItemKey(pub(super) u32);

#[cfg(test)]
impl ItemKey {
    /// A key for tests that need any.
    pub(crate) fn example(number: u32) -> Self {
        Self(number)
    }
}

impl TurnItem {
    /// The text that grows while the item is written. Empty for items that have none.
    pub fn text(&self) -> &str {
        match self {
            Self::Message { text } => text,
            _ => "",
        }
    }

    /// Takes away what a command printed and how files were changed, which can be long. Says whether there was any.
    pub fn shorten(&mut self) -> bool {
        match self {
            Self::Command { output, .. } => !std::mem::take(output).is_empty(),
            Self::Files { changes, .. } => {
                let diffs = changes.iter_mut().map(|change| std::mem::take(&mut change.diff));
                diffs.filter(|diff| !diff.is_empty()).count() > 0
            }
            _ => false,
        }
    }

    /// How far it is, for what takes time.
    pub fn state(&self) -> Option<ItemState> {
        match self {
            Self::Command { state, .. }
            | Self::Files { state, .. }
            | Self::Tool { state, .. }
            | Self::Agent { state, .. } => Some(*state),
            _ => None,
        }
    }
}

impl ItemState {
    /// The state of an item that has ended, from Codex's word for it.
    pub(super) fn ended(status: &str) -> Self {
        match status {
            "declined" => Self::Declined,
            "failed" => Self::Failed,
            _ => Self::Done,
        }
    }
}
