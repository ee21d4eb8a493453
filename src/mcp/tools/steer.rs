//! `steer`: says something more to the turn that runs in a session.

use rmcp::model::JsonObject;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::tool::{Cx, Effect, Tool};
use crate::{
    mcp::{answer::Answer, arguments, error::ToolError, schema},
    session::SessionName,
};

pub(super) const TOOL: Tool = Tool {
    name: "steer",
    hidden: &[],
    title: "Steer Codex",
    description: "Says something more to the turn that is running in a session, whichever client started \
                  it: the model hears it before it goes on. Returns at once; the answer comes to whoever \
                  waits for the turn. Use `codex` to ask something when none is running.",
    effect: Effect::Acts,
    input: schema::of::<Input>,
    output: schema::of_result::<Output>,
    call: |cx, _, given| Box::pin(async move { Ok(call(cx, given).await?.into()) }),
};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Input {
    /// The session.
    #[schemars(with = "schema::Name")]
    session_id: SessionName,
    /// What to say.
    #[schemars(length(min = 1))]
    prompt: String,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Output {
    /// The session.
    session_id: String,
    /// Whether the running turn has heard it.
    steered: bool,
    /// What to know besides.
    warnings: Vec<String>,
}

async fn call(cx: &Cx, given: Option<JsonObject>) -> Result<Answer, ToolError> {
    let Input { session_id, prompt } = arguments::read(given)?;
    cx.sessions.steer(&session_id, prompt).await?;
    let collect = cx.how_to_collect(session_id.as_str(), None);
    let text = format!("Said to the running turn of session {session_id}. {collect}");
    let output = Output { session_id: session_id.to_string(), steered: true, warnings: Vec::new() };
    Ok(Answer::new(&output, text))
}
