//! `ping`: whether the server is there.

use rmcp::model::JsonObject;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::tool::{Effect, Tool};
use crate::mcp::{answer::Answer, arguments, error::ToolError, schema};

pub(super) const TOOL: Tool = Tool {
    name: "ping",
    hidden: &[],
    title: "Ping",
    description: "Answers at once, without asking Codex: with the message it was given, or `pong`.",
    effect: Effect::Reads,
    input: schema::of::<Input>,
    output: schema::of_result::<Output>,
    call: |_, _, given| Box::pin(async move { Ok(std::future::ready(call(given)).await?.into()) }),
};

#[derive(Debug, Deserialize, JsonSchema)]
struct Input {
    /// What to answer. Default: pong.
    message: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Output {
    /// The answer.
    message: String,
    /// What to know besides.
    warnings: Vec<String>,
}

fn call(given: Option<JsonObject>) -> Result<Answer, ToolError> {
    let Input { message } = arguments::read(given)?;
    let message = message.unwrap_or_else(|| "pong".to_owned());
    Ok(Answer::new(&Output { message: message.clone(), warnings: Vec::new() }, message))
}
