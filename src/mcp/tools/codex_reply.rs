//! `codex-reply`, as in Codex's own removed MCP server. Listed for its clients only, accepted from all.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    codex::default_callback,
    run::run,
    tool::{Call, Callable, Cx, Effect, Outcome},
    turn_view,
};
use crate::{
    mcp::{arguments, error::ToolError},
    session::{Request, ThreadOptions},
};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct CodexReply {
    /// What Codex shall do or answer.
    prompt: String,
    /// The conversation to continue.
    thread_id: Option<String>,
    /// The same, under its older name.
    conversation_id: Option<String>,
}

impl Callable for CodexReply {
    const NAME: &'static str = "codex-reply";
    const TITLE: &'static str = "Continue with Codex";
    const DESCRIPTION: &'static str =
        "Continues a conversation with Codex by the `threadId` of its result.";
    const EFFECT: Effect = Effect::Acts;

    type Output = turn_view::Output;

    async fn call(self, cx: &Cx, Call { caller, .. }: Call<'_>) -> Result<Outcome, ToolError> {
        let input = self;
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
}
