//! `codex-reply`, as in Codex's own removed MCP server. Listed for its clients only, accepted from all.

use rmcp::model::JsonObject;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    codex::default_callback,
    run::run,
    tool::{Cx, Effect, Outcome, Tool},
    turn_view,
};
use crate::{
    mcp::{arguments, call::Caller, error::ToolError, schema},
    session::{Request, ThreadOptions},
};

pub(super) const TOOL: Tool = Tool {
    name: "codex-reply",
    hidden: &[],
    title: "Continue with Codex",
    description: "Continues a conversation with Codex by the `threadId` of its result.",
    effect: Effect::Acts,
    input: schema::of::<Input>,
    output: schema::of_result::<turn_view::Output>,
    call: |cx, caller, given| Box::pin(call(cx, caller, given)),
};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Input {
    /// What Codex shall do or answer.
    prompt: String,
    /// The conversation to continue.
    thread_id: Option<String>,
    /// The same, under its older name.
    conversation_id: Option<String>,
}

async fn call(cx: &Cx, caller: &Caller, given: Option<JsonObject>) -> Result<Outcome, ToolError> {
    let input: Input = arguments::read(given)?;
    let Some(thread) = input.thread_id.or(input.conversation_id) else {
        return Err(ToolError::argument("threadId", "it is required"));
    };
    let name = arguments::thread("threadId", &thread)?;
    let callback_uri = default_callback(cx).await;
    let options = ThreadOptions { callback_uri, ..ThreadOptions::default() };
    let can_ask = caller.can_ask(true);
    let request = Request { can_ask, options, ..Request::ask(input.prompt) };
    let vendor = Cx { is_vendor: true, ..cx.clone() };
    run(&vendor, caller, Some(name), request, None).await
}
