//! What a tool is: its definition, its call, its outcome. Knows no tool.

use std::{path::Path, sync::Arc};

use futures_util::future::BoxFuture;
use rmcp::model::{CreateTaskResult, InputRequiredResult, JsonObject, ToolAnnotations};
use serde_json::json;

use crate::{
    mcp::{
        answer::Answer,
        call::{Caller, RequestStateCodec},
        error::ToolError,
        offer::Offer,
    },
    session::{Origin, Sessions, Verb},
};

/// What a tool works with.
#[derive(Debug, Clone)]
pub(in crate::mcp) struct Cx {
    pub(in crate::mcp) sessions: Sessions,
    pub(in crate::mcp) codec: Arc<RequestStateCodec>,
    /// The longest text one result carries, in characters.
    pub(in crate::mcp) max_text: usize,
    /// The tools that are offered.
    pub(in crate::mcp) offer: Offer,
    /// Whether clients of Codex's own removed server are served: they read other fields.
    pub(in crate::mcp) is_vendor: bool,
    /// Where this client's calls come from.
    pub(in crate::mcp) origin: Origin,
    /// Whether the caller is on another machine.
    pub(in crate::mcp) is_remote: bool,
    /// Where MCP servers of Codex send the user back to after a login, unless a call says.
    pub(in crate::mcp) callback_uri: Option<String>,
}

impl Cx {
    /// Where relative paths of this client's calls begin.
    pub(in crate::mcp) fn directory(&self) -> &Path {
        self.origin.directory.as_ref().unwrap_or(&self.sessions.config().directory)
    }

    /// Fails if the caller may not do this.
    pub(in crate::mcp) fn allows(&self, verb: Verb) -> Result<(), ToolError> {
        Ok(self.sessions.caller().check(verb)?)
    }

    /// Whether the operator lets clients use the tool of this name.
    pub(in crate::mcp) fn offers(&self, name: &str) -> bool {
        self.offer.has(name)
    }

    /// Says how to get the answer of a running turn with the tools that are offered; `turn` is its number,
    /// if it is known.
    pub(in crate::mcp) fn how_to_collect(&self, session: &str, turn: Option<u32>) -> String {
        let arguments = match turn {
            Some(turn) => json!({"sessionId": session, "turn": turn}),
            None => json!({"sessionId": session}),
        };
        if self.offers("wait") {
            format!("Get its answer with wait {arguments}.")
        } else if self.offers("getSession") {
            format!("Read its answer with getSession {arguments} when it is over.")
        } else {
            format!("`codex-mcp-server wait {session}` in a terminal prints its answer.")
        }
    }
}

/// One tool.
pub(in crate::mcp) struct Tool {
    pub(in crate::mcp) name: &'static str,
    /// Arguments it accepts but does not list.
    pub(super) hidden: &'static [&'static str],
    pub(super) title: &'static str,
    pub(super) description: &'static str,
    /// The tool's side effects. Clients use them to decide on approval and parallel calls.
    pub(super) effect: Effect,
    pub(super) input: fn() -> Arc<JsonObject>,
    pub(super) output: fn() -> Arc<JsonObject>,
    pub(super) call: Call,
}

pub(super) type Call =
    for<'a> fn(&'a Cx, &'a Caller, Option<JsonObject>) -> BoxFuture<'a, Result<Outcome, ToolError>>;

/// The outcome of a call.
#[derive(Debug)]
pub(in crate::mcp) enum Outcome {
    /// An answer.
    Answer(Box<Answer>),
    /// A question to the user first.
    InputRequired(Box<InputRequiredResult>),
    /// A task: the answer comes later.
    Task(Box<CreateTaskResult>),
}

/// The side effects of a tool.
#[derive(Debug, Clone, Copy)]
pub(super) enum Effect {
    /// Reads what is here.
    Reads,
    /// Looks at files or the web, and talks to a model elsewhere.
    Looks,
    /// Removes something of ours; doing it twice does no more.
    Removes,
    /// Changes files of the user's, here, by rules of ours.
    Changes,
    /// Adds something of ours and changes nothing that is there.
    Adds,
    /// May do anything its sandbox allows, and talks to a model elsewhere.
    Acts,
}

impl Tool {
    /// As `tools/list` shows it.
    pub(super) fn define(&self) -> rmcp::model::Tool {
        rmcp::model::Tool::new(self.name, self.description, (self.input)())
            .with_title(self.title)
            .with_raw_output_schema((self.output)())
            .with_annotations(self.effect.annotations(self.title))
    }
}

impl From<Answer> for Outcome {
    fn from(answer: Answer) -> Self {
        Self::Answer(Box::new(answer))
    }
}

impl std::fmt::Debug for Tool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Tool").field(&self.name).finish()
    }
}

impl Effect {
    /// What a caller must be allowed to do before the tool is called. The core checks what the tool then does.
    pub(super) fn verb(self) -> Verb {
        match self {
            Self::Reads => Verb::Look,
            Self::Removes | Self::Changes | Self::Adds => Verb::Change,
            Self::Looks | Self::Acts => Verb::Ask,
        }
    }

    /// Sets all annotations, because clients assume the worst for absent ones.
    fn annotations(self, title: &str) -> ToolAnnotations {
        let (read_only, destructive, idempotent, open_world) = match self {
            Self::Reads => (true, false, true, false),
            Self::Adds => (false, false, false, false),
            Self::Looks => (true, false, false, true),
            Self::Removes => (false, true, true, false),
            Self::Changes => (false, true, false, false),
            Self::Acts => (false, true, false, true),
        };
        ToolAnnotations::with_title(title)
            .read_only(read_only)
            .destructive(destructive)
            .idempotent(idempotent)
            .open_world(open_world)
    }
}
