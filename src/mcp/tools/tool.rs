//! What a tool is: how it is shown, how it is called, what comes of it.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use rmcp::model::{InputRequiredResult, JsonObject, MetaObject, ToolAnnotations};
use serde_json::{Value, json};

use super::{
    codex,
    list::{DEFINITIONS, ToolSummary},
};
use crate::{
    mcp::{
        answer::Answer,
        arguments,
        call::{Caller, Sealer},
        error::ToolError,
    },
    session::Sessions,
};

/// What a tool works with.
#[derive(Debug, Clone)]
pub(in crate::mcp) struct Cx {
    pub(in crate::mcp) sessions: Sessions,
    pub(in crate::mcp) sealer: Arc<Sealer>,
    /// The longest text one result carries, in characters.
    pub(in crate::mcp) max_text: usize,
    /// The tools that are offered.
    pub(in crate::mcp) tools: Vec<&'static Tool>,
    /// Whether clients of Codex's own removed server are served: they read other fields.
    pub(in crate::mcp) is_vendor: bool,
    /// Whether results have a structured form.
    pub(in crate::mcp) is_structured: bool,
    /// Where MCP servers of Codex send the user back to after a login, unless a call says.
    pub(in crate::mcp) callback_uri: Option<String>,
}

/// One tool.
pub(in crate::mcp) struct Tool {
    pub(in crate::mcp) name: &'static str,
    /// Arguments it takes and does not show.
    pub(super) hidden: &'static [&'static str],
    pub(super) title: &'static str,
    pub(super) description: &'static str,
    /// What it does to the world; clients decide approval and parallelism by it.
    pub(super) effect: Effect,
    pub(super) input: fn() -> Arc<JsonObject>,
    pub(super) output: fn() -> Arc<JsonObject>,
    pub(super) call: Call,
}

pub(super) type Call =
    for<'a> fn(&'a Cx, &'a Caller, Option<JsonObject>) -> BoxFuture<'a, Result<Outcome, ToolError>>;

/// What comes of a call.
#[derive(Debug)]
pub(in crate::mcp) enum Outcome {
    /// An answer.
    Answer(Box<Answer>),
    /// A question to the user first.
    Asked(Box<InputRequiredResult>),
}

/// What a tool does to the world.
#[derive(Debug, Clone, Copy)]
pub(super) enum Effect {
    /// Reads what is here.
    Reads,
    /// Looks at files or the web, and talks to a model elsewhere.
    Looks,
    /// Removes something of ours; doing it twice does no more.
    Removes,
    /// Adds something of ours and changes nothing that is there.
    Adds,
    /// May do anything its sandbox allows, and talks to a model elsewhere.
    Acts,
}

impl Tool {
    /// As `tools/list` shows it to clients of Codex's own removed server.
    pub(in crate::mcp) fn vendor_definition(&self) -> rmcp::model::Tool {
        let mut definition = self.definition();
        if self.name != codex::TOOL.name {
            return definition;
        }
        let mut schema = JsonObject::clone(&definition.input_schema);
        if let Some(Value::Object(properties)) = schema.get_mut("properties") {
            for (name, kind, description) in codex::VENDOR_ARGUMENTS {
                let property = json!({"type": kind, "description": description});
                properties.insert((*name).to_owned(), property);
            }
        }
        definition.input_schema = Arc::new(schema);
        definition
    }

    /// As `tools/list` shows it.
    pub(in crate::mcp) fn definition(&self) -> rmcp::model::Tool {
        DEFINITIONS.get(self.name).cloned().unwrap_or_else(|| self.define())
    }

    pub(super) fn summary(&self) -> ToolSummary {
        let Self { name, title, description, input, .. } = self;
        ToolSummary { name, title, description, input: input() }
    }

    pub(super) fn define(&self) -> rmcp::model::Tool {
        let mut meta = JsonObject::new();
        if self.name == codex::TOOL.name {
            // One client hides all but the names of tools until they are searched for; the main one stays.
            meta.insert("anthropic/alwaysLoad".to_owned(), true.into());
        }
        let tool = rmcp::model::Tool::new(self.name, self.description, (self.input)())
            .with_title(self.title)
            .with_raw_output_schema((self.output)())
            .with_annotations(self.effect.annotations(self.title));
        if meta.is_empty() { tool } else { tool.with_meta(MetaObject(meta)) }
    }

    /// Calls it. What it was given and does not know is named in the answer.
    pub(in crate::mcp) async fn run(
        &self,
        cx: &Cx,
        caller: &Caller,
        given: Option<JsonObject>,
    ) -> Result<Outcome, ToolError> {
        let unknown =
            arguments::unknown(given.as_ref(), &self.definition().input_schema, self.hidden);
        let mut outcome = (self.call)(cx, caller, given).await?;
        if let Outcome::Answer(answer) = &mut outcome {
            for name in unknown {
                answer.warn(&format!("unknown argument `{name}` was ignored"));
            }
        }
        Ok(outcome)
    }
}

impl Outcome {
    /// Adds what clients of the npm package read in the text's `_meta`, if there is an answer.
    pub(super) fn add_beside(&mut self, name: &str, value: impl Into<Value>) {
        if let Self::Answer(answer) = self {
            answer.add_beside(name, value.into());
        }
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
    /// All of them, because absent ones mean the worst.
    fn annotations(self, title: &str) -> ToolAnnotations {
        let (read_only, destructive, idempotent, open_world) = match self {
            Self::Reads => (true, false, true, false),
            Self::Adds => (false, false, false, false),
            Self::Looks => (true, false, false, true),
            Self::Removes => (false, true, true, false),
            Self::Acts => (false, true, false, true),
        };
        ToolAnnotations::with_title(title)
            .read_only(read_only)
            .destructive(destructive)
            .idempotent(idempotent)
            .open_world(open_world)
    }
}
