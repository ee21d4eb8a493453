//! The tools, one file each: input, output, description, call. [`ALL`] is the single list.

mod codex;
mod codex_reply;
mod delete_session;
mod fork_session;
mod get_session;
mod help;
mod interrupt;
mod list_models;
mod list_sessions;
mod ping;
mod review;
mod run;
mod session_view;
mod steer;
mod turn_view;
mod wait;
mod websearch;

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
};

use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use rmcp::model::{InputRequiredResult, JsonObject, MetaObject, ToolAnnotations};

use super::{
    answer::Answer,
    arguments,
    error::ToolError,
    talk::{Caller, Followed, Sealer},
};
use crate::session::Sessions;

/// What a tool works with.
#[derive(Debug, Clone)]
pub(super) struct Cx {
    pub(super) sessions: Sessions,
    pub(super) sealer: Arc<Sealer>,
    /// The longest text one result carries, in characters.
    pub(super) max_text: usize,
    /// The tools that are offered.
    pub(super) tools: Vec<&'static Tool>,
    /// Whether clients of Codex's own removed server are served: they read other fields.
    pub(super) is_vendor: bool,
}

/// One tool.
pub(super) struct Tool {
    pub(super) name: &'static str,
    /// Arguments it takes and does not show.
    hidden: &'static [&'static str],
    title: &'static str,
    description: &'static str,
    /// What it does to the world; clients decide approval and parallelism by it.
    effect: Effect,
    input: fn() -> Arc<JsonObject>,
    output: fn() -> Arc<JsonObject>,
    call: Call,
}

type Call =
    for<'a> fn(&'a Cx, &'a Caller, Option<JsonObject>) -> BoxFuture<'a, Result<Outcome, ToolError>>;

/// What comes of a call.
#[derive(Debug)]
pub(super) enum Outcome {
    /// An answer.
    Answer(Box<Answer>),
    /// A question to the user first.
    Asked(Box<InputRequiredResult>),
}

/// What a tool does to the world.
#[derive(Debug, Clone, Copy)]
enum Effect {
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

/// Every tool, in the order clients see them.
static ALL: &[Tool] = &[
    codex::TOOL,
    codex_reply::TOOL,
    review::TOOL,
    websearch::TOOL,
    wait::TOOL,
    steer::TOOL,
    interrupt::TOOL,
    list_sessions::TOOL,
    get_session::TOOL,
    fork_session::TOOL,
    delete_session::TOOL,
    list_models::TOOL,
    ping::TOOL,
    help::TOOL,
];

/// As `tools/list` shows them. Made once: schemas take longer than most calls.
static DEFINITIONS: LazyLock<HashMap<&'static str, rmcp::model::Tool>> =
    LazyLock::new(|| ALL.iter().map(|tool| (tool.name, tool.define())).collect());

/// The names of all tools.
pub fn tool_names() -> Vec<&'static str> {
    ALL.iter().map(|tool| tool.name).collect()
}

/// The tools with these names, in our order; if none is named, all that these clients know.
pub(super) fn chosen(names: &[String], is_vendor: bool) -> Vec<&'static Tool> {
    let wanted = |tool: &&Tool| match names {
        [] => is_vendor || tool.name != codex_reply::TOOL.name,
        names => names.iter().any(|name| name == tool.name),
    };
    ALL.iter().filter(wanted).collect()
}

/// The tool of this name: one that is offered, or one that old clients may still know.
pub(super) fn named(offered: &[&'static Tool], name: &str) -> Option<&'static Tool> {
    let known = offered.iter().find(|tool| tool.name == name).copied();
    let is_all = offered.iter().any(|tool| tool.name == codex::TOOL.name);
    known.or((is_all && name == codex_reply::TOOL.name).then_some(&codex_reply::TOOL))
}

impl Tool {
    /// As `tools/list` shows it to clients of Codex's own removed server.
    pub(super) fn vendor_definition(&self) -> rmcp::model::Tool {
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
    pub(super) fn definition(&self) -> rmcp::model::Tool {
        DEFINITIONS.get(self.name).cloned().unwrap_or_else(|| self.define())
    }

    fn define(&self) -> rmcp::model::Tool {
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
    pub(super) async fn run(
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

/// Shows how far a call has come that has come back with an answer.
pub(super) fn followed(followed: Followed, cx: &Cx) -> Outcome {
    turn_view::outcome(followed, cx)
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

#[cfg(test)]
mod tests;
