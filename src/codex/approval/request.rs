//! Something Codex asks the user to approve, as a person would read it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use strum::{EnumString, IntoStaticStr};

/// Identifies one approval, for ever.
///
/// A fresh UUID made when Codex asks. Codex numbers its own requests from 0 in every process, so its
/// number must never stand for an approval outside the connection that asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ApprovalId(pub String);

impl ApprovalId {
    /// An id that no other approval has.
    pub(crate) fn new() -> Self {
        Self(uuid::Uuid::new_v4().to_string())
    }
}

/// A request of Codex that a turn waits for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Approval {
    pub id: ApprovalId,
    /// What it is about.
    pub subject: Subject,
    /// The decisions Codex accepts for it.
    pub choices: Vec<Decision>,
    /// The name of the sub-agent that asks. `None` if the turn's own thread asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// The id of the app-server process that asks, a UUID. No other process can be answered.
    pub connection: String,
}

/// What an approval is about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Subject {
    /// It wants to run a command that its sandbox or its policy does not allow by itself.
    Command {
        /// The command line, where this Codex says it.
        command: Option<String>,
        /// Where it would run.
        cwd: Option<String>,
        reason: Option<String>,
    },
    /// It wants to change files.
    Files {
        /// Which, where this Codex says it.
        paths: Vec<String>,
        /// A directory it would then be allowed to write to.
        root: Option<String>,
        reason: Option<String>,
    },
    /// It wants more permissions for what follows.
    Permissions {
        /// What it wants, in words.
        wanted: String,
        reason: Option<String>,
    },
    /// The model asks the user.
    Input(Vec<InputField>),
    /// One of Codex's own MCP servers asks the user to fill in a form.
    Form {
        server: String,
        message: String,
        /// The form, as MCP describes it.
        schema: Value,
    },
    /// One of Codex's own MCP servers asks the user to open a page.
    Link {
        server: String,
        message: String,
        url: String,
        /// The MCP server's name for it.
        id: String,
    },
}

/// One thing the model asks the user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputField {
    /// Names it in the answer.
    pub id: String,
    pub question: String,
    /// The answers to choose from. Empty if any text will do.
    pub options: Vec<String>,
    /// Whether an answer that is not among the options is welcome.
    pub free: bool,
    /// Whether the answer must not be shown.
    pub secret: bool,
}

/// What can be decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, EnumString, IntoStaticStr)]
#[strum(serialize_all = "camelCase")]
pub enum Decision {
    /// Yes, this once.
    Accept,
    /// Yes, and the like of it until Codex ends.
    AcceptForSession,
    /// No; the turn goes on without it.
    Decline,
    /// No, and stop the turn.
    Cancel,
}

/// The answer to an approval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    pub decision: Decision,
    /// What was filled in, for those that ask for it.
    pub content: Map<String, Value>,
}

impl Answer {
    /// A decision with nothing filled in.
    pub fn plain(decision: Decision) -> Self {
        Self { decision, content: Map::new() }
    }
}

impl Decision {
    /// The word for it in forms.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// The decision with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        word.parse().ok()
    }
}

impl Subject {
    /// What Codex asks, in a few words that follow "Codex asks".
    pub fn in_short(&self) -> String {
        match self {
            Self::Command { command: Some(command), .. } => format!("to run `{command}`"),
            Self::Command { command: None, .. } => "to run a command".to_owned(),
            Self::Files { paths, .. } if paths.is_empty() => "to change files".to_owned(),
            Self::Files { paths, .. } => format!("to change {}", paths.join(", ")),
            Self::Permissions { wanted, .. } => format!("for more permissions: {wanted}"),
            Self::Input(fields) => {
                let questions: Vec<_> =
                    fields.iter().map(|field| field.question.as_str()).collect();
                format!("the user: {}", questions.join(" "))
            }
            Self::Form { server, message, .. } | Self::Link { server, message, .. } => {
                format!("on behalf of {server}: {message}")
            }
        }
    }
}
