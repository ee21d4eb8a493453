//! The list of all tools, and which of them are offered to whom.

use std::sync::{Arc, OnceLock};

use rmcp::model::{JsonObject, MetaObject};
use serde_json::{Value, json};

use super::{
    codex, codex_reply, delete_session, fork_session, get_session, help, interrupt, list_models,
    list_sessions, ping, rename_session, review, steer,
    tool::{Callable, Cx, Outcome, Tool},
    usage, wait, websearch, worktree,
};
use crate::{
    mcp::{arguments, call::Caller, error::ToolError, offer::Offer},
    session::Verb,
};

/// Every tool, in the order clients see them.
pub(super) static ALL: &[Tool] = &[
    Tool::of::<codex::AskCodex>(),
    Tool::of::<codex_reply::CodexReply>(),
    Tool::of::<review::StartReview>(),
    Tool::of::<websearch::SearchWeb>(),
    Tool::of::<wait::WaitForTurn>(),
    Tool::of::<steer::Steer>(),
    Tool::of::<worktree::ManageWorktree>(),
    Tool::of::<interrupt::Interrupt>(),
    Tool::of::<list_sessions::ListSessions>(),
    Tool::of::<get_session::GetSession>(),
    Tool::of::<fork_session::ForkSession>(),
    Tool::of::<rename_session::RenameSession>(),
    Tool::of::<delete_session::DeleteSession>(),
    Tool::of::<list_models::ListModels>(),
    Tool::of::<usage::ReadUsage>(),
    Tool::of::<ping::Ping>(),
    Tool::of::<help::Help>(),
];

/// The names of all tools.
pub fn tool_names() -> Vec<&'static str> {
    ALL.iter().map(|tool| tool.name).collect()
}

/// What a tool says of itself.
#[derive(Debug, Clone)]
pub struct ToolSummary {
    /// Its name.
    pub name: &'static str,
    /// What it is called.
    pub title: &'static str,
    /// What it does.
    pub description: &'static str,
    /// The JSON schema of its arguments, flat and plain.
    pub input: Arc<JsonObject>,
}

/// All tools except those for old clients.
pub fn tool_summaries() -> Vec<ToolSummary> {
    let shown = ALL.iter().filter(|tool| tool.name != codex_reply::CodexReply::NAME);
    shown
        .map(|tool| ToolSummary {
            name: tool.name,
            title: tool.title,
            description: tool.description,
            input: (tool.input)(),
        })
        .collect()
}

/// What a caller of the tool of this name must be allowed to do. `None` if there is no such tool.
pub(in crate::mcp) fn verb_of(name: &str) -> Option<Verb> {
    ALL.iter().find(|tool| tool.name == name).map(|tool| tool.effect.verb())
}

/// The tools of one server.
#[derive(Debug)]
pub(in crate::mcp) struct Tools {
    offered: Vec<Entry>,
    /// Not listed, but accepted: from old clients that still call them, and from callers that know them from the documentation.
    silent: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    tool: &'static Tool,
    is_vendor: bool,
    /// Made when it is first needed: schemas take longer than most calls.
    definition: OnceLock<rmcp::model::Tool>,
}

impl Tools {
    /// The tools with these names, in our order; if none is named, those that most clients need. Every listed tool
    /// costs each conversation some of its context, so what people rather do in a terminal is not.
    pub(in crate::mcp) fn new(names: &[String], is_vendor: bool) -> Self {
        let is_reply = |tool: &Tool| tool.name == codex_reply::CodexReply::NAME;
        let is_rename = |tool: &Tool| tool.name == rename_session::RenameSession::NAME;
        let wanted = |tool: &&Tool| match names {
            [] => !is_rename(tool) && (is_vendor || !is_reply(tool)),
            names => names.iter().any(|name| name == tool.name),
        };
        let entry = |tool| Entry { tool, is_vendor, definition: OnceLock::new() };
        let offered: Vec<Entry> = ALL.iter().filter(wanted).map(entry).collect();
        let has = |name: &str| offered.iter().any(|entry| entry.tool.name == name);
        let is_silent = |tool: &&Tool| {
            (is_reply(tool) && has(codex::AskCodex::NAME) && !has(codex_reply::CodexReply::NAME))
                || (is_rename(tool) && names.is_empty())
        };
        let silent = ALL.iter().filter(is_silent).map(entry).collect();
        Self { offered, silent }
    }

    /// Their names.
    pub(in crate::mcp) fn names(&self) -> Vec<&'static str> {
        self.offered.iter().map(|entry| entry.tool.name).collect()
    }

    /// The tool's own name, if it is one that can be called.
    pub(in crate::mcp) fn known(&self, name: &str) -> Option<&'static str> {
        let mut entries = self.offered.iter().chain(&self.silent);
        entries.find(|entry| entry.tool.name == name).map(|entry| entry.tool.name)
    }

    /// Which tools they are, for those who write texts.
    pub(in crate::mcp) fn offer(&self) -> Offer {
        Offer::new(&tool_names(), &self.names())
    }

    /// Their definitions for `tools/list`. Descriptions name only tools that `offer` has.
    pub(in crate::mcp) fn definitions(&self, offer: &Offer) -> Vec<rmcp::model::Tool> {
        let shown = self.offered.iter().map(|entry| {
            let mut shown = entry.definition().clone();
            if let Some(description) = &mut shown.description {
                *description = offer.only(description).into_owned().into();
            }
            described(&mut shown.input_schema, offer);
            if let Some(schema) = &mut shown.output_schema {
                described(schema, offer);
            }
            shown
        });
        shown.collect()
    }

    /// Calls the tool of this name. `None` if it is not offered. Unknown arguments are named in the answer.
    pub(in crate::mcp) async fn call(
        &self,
        name: &str,
        cx: &Cx,
        caller: &Caller,
        given: Option<JsonObject>,
    ) -> Option<Result<Outcome, ToolError>> {
        let mut entries = self.offered.iter().chain(&self.silent);
        let entry = entries.find(|entry| entry.tool.name == name)?;
        let tool = entry.tool;
        let unknown =
            arguments::unknown(given.as_ref(), &entry.definition().input_schema, tool.hidden);
        if let Err(error) = cx.allows(tool.effect.verb()) {
            return Some(Err(error));
        }
        let mut outcome = (tool.call)(cx, caller, given).await;
        if let Ok(Outcome::Answer(answer)) = &mut outcome {
            for name in unknown {
                answer.warn(&format!("unknown argument `{name}` was ignored"));
            }
        }
        Some(outcome)
    }
}

impl Entry {
    fn definition(&self) -> &rmcp::model::Tool {
        self.definition.get_or_init(|| definition(self.tool, self.is_vendor))
    }
}

/// The definition for clients. Clients of Codex's own removed server see more arguments.
pub(super) fn definition(tool: &Tool, is_vendor: bool) -> rmcp::model::Tool {
    let mut definition = tool.define();
    if tool.name != codex::AskCodex::NAME {
        return definition;
    }
    // One client hides all but the names of tools until they are searched for; the main one stays.
    let loaded = ("anthropic/alwaysLoad".to_owned(), true.into());
    definition.meta = Some(MetaObject(JsonObject::from_iter([loaded])));
    if let (true, Some(properties)) = (is_vendor, properties(&mut definition.input_schema)) {
        for (name, kind, description) in codex::VENDOR_ARGUMENTS {
            let property = json!({"type": kind, "description": description});
            properties.insert((*name).to_owned(), property);
        }
    }
    definition
}

fn described(schema: &mut Arc<JsonObject>, offer: &Offer) {
    for property in properties(schema).into_iter().flat_map(JsonObject::values_mut) {
        if let Some(Value::String(text)) = property.get_mut("description") {
            *text = offer.only(text).into_owned();
        }
    }
}

fn properties(schema: &mut Arc<JsonObject>) -> Option<&mut JsonObject> {
    Arc::make_mut(schema).get_mut("properties")?.as_object_mut()
}
