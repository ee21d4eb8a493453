//! The list of all tools, and which of them are offered to whom.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
};

use rmcp::model::JsonObject;

use super::{
    codex, codex_reply, delete_session, fork_session, get_session, help, interrupt, list_models,
    list_sessions, ping, review, steer, tool::Tool, wait, websearch,
};

/// Every tool, in the order clients see them.
pub(super) static ALL: &[Tool] = &[
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
pub(super) static DEFINITIONS: LazyLock<HashMap<&'static str, rmcp::model::Tool>> =
    LazyLock::new(|| ALL.iter().map(|tool| (tool.name, tool.define())).collect());

/// The names of all tools.
pub fn tool_names() -> Vec<&'static str> {
    ALL.iter().map(|tool| tool.name).collect()
}

/// A tool as its own description has it.
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

/// All tools but those that repeat others for old clients.
pub fn tool_summaries() -> Vec<ToolSummary> {
    let shown = ALL.iter().filter(|tool| tool.name != codex_reply::TOOL.name);
    shown.map(Tool::summary).collect()
}

/// The tools with these names, in our order; if none is named, all that these clients know.
pub(in crate::mcp) fn chosen(names: &[String], is_vendor: bool) -> Vec<&'static Tool> {
    let wanted = |tool: &&Tool| match names {
        [] => is_vendor || tool.name != codex_reply::TOOL.name,
        names => names.iter().any(|name| name == tool.name),
    };
    ALL.iter().filter(wanted).collect()
}

/// The tool of this name: one that is offered, or one that old clients may still know.
pub(in crate::mcp) fn named(offered: &[&'static Tool], name: &str) -> Option<&'static Tool> {
    let known = offered.iter().find(|tool| tool.name == name).copied();
    let is_all = offered.iter().any(|tool| tool.name == codex::TOOL.name);
    known.or((is_all && name == codex_reply::TOOL.name).then_some(&codex_reply::TOOL))
}
