//! The tools, one file each: input, output, description, call. [`ALL`] is the single list.

mod codex;
mod delete_session;
mod get_session;
mod help;
mod list_models;
mod list_sessions;
mod ping;
mod session_view;

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
};

use futures_util::future::BoxFuture;
use rmcp::model::{JsonObject, MetaObject, ToolAnnotations};

use super::{answer::Answer, arguments, error::ToolError};
use crate::session::Sessions;

/// What a tool works with.
#[derive(Debug, Clone)]
pub(super) struct Cx {
    pub(super) sessions: Sessions,
    /// The longest text one result carries, in characters.
    pub(super) max_text: usize,
}

/// One tool.
pub(super) struct Tool {
    pub(super) name: &'static str,
    title: &'static str,
    description: &'static str,
    /// What it does to the world; clients decide approval and parallelism by it.
    effect: Effect,
    input: fn() -> Arc<JsonObject>,
    output: fn() -> Arc<JsonObject>,
    call: Call,
}

type Call = for<'a> fn(&'a Cx, Option<JsonObject>) -> BoxFuture<'a, Result<Answer, ToolError>>;

/// What a tool does to the world.
#[derive(Debug, Clone, Copy)]
enum Effect {
    /// Reads what is here.
    Reads,
    /// Removes something of ours; doing it twice does no more.
    Removes,
    /// May do anything its sandbox allows, and talks to a model elsewhere.
    Acts,
}

/// Every tool, in the order clients see them.
static ALL: &[Tool] = &[
    codex::TOOL,
    list_sessions::TOOL,
    get_session::TOOL,
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

/// The tools with these names, in our order; all if none is named.
pub(super) fn chosen(names: &[String]) -> Vec<&'static Tool> {
    let wanted = |tool: &&Tool| names.is_empty() || names.iter().any(|name| name == tool.name);
    ALL.iter().filter(wanted).collect()
}

impl Tool {
    /// As `tools/list` shows it.
    pub(super) fn definition(&self) -> rmcp::model::Tool {
        DEFINITIONS.get(self.name).cloned().unwrap_or_else(|| self.define())
    }

    fn define(&self) -> rmcp::model::Tool {
        let tool = rmcp::model::Tool::new(self.name, self.description, (self.input)())
            .with_title(self.title)
            .with_raw_output_schema((self.output)())
            .with_annotations(self.effect.annotations(self.title));
        if self.name != codex::TOOL.name {
            return tool;
        }
        // One client hides all but the names of tools until they are searched for; the main one stays.
        let always = ("anthropic/alwaysLoad".to_owned(), true.into());
        tool.with_meta(MetaObject(JsonObject::from_iter([always])))
    }

    /// Calls it. What it was given and does not know is named in the answer.
    pub(super) async fn run(
        &self,
        cx: &Cx,
        given: Option<JsonObject>,
    ) -> Result<Answer, ToolError> {
        let unknown = arguments::unknown(given.as_ref(), &self.definition().input_schema);
        let mut answer = (self.call)(cx, given).await?;
        for name in unknown {
            answer.warn(&format!("unknown argument `{name}` was ignored"));
        }
        Ok(answer)
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
