//! `deleteSession`: forgets a session.

use rmcp::model::JsonObject;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::tool::{Cx, Effect, Tool};
use crate::{
    mcp::{answer::Answer, arguments, error::ToolError, schema},
    session::SessionName,
};

pub(super) const TOOL: Tool = Tool {
    name: "deleteSession",
    hidden: &[],
    title: "Delete a session",
    description: "Deletes a session, this server's record of its turns, and its worktree. Codex's own thread stays \
                  and can still be resumed with `codex resume`.",
    effect: Effect::Removes,
    input: schema::of::<Input>,
    output: schema::of_result::<Output>,
    call: |cx, _, given| Box::pin(async move { Ok(call(cx, given).await?.into()) }),
};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Input {
    /// The session to delete.
    #[schemars(with = "schema::Name")]
    session_id: SessionName,
    /// Delete it even if its worktree has changes that are nowhere else. Default: false.
    force: Option<bool>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Output {
    /// The session that is gone.
    session_id: String,
    /// Always true; a session that was not there is an error.
    deleted: bool,
    /// What to know besides.
    warnings: Vec<String>,
}

async fn call(cx: &Cx, given: Option<JsonObject>) -> Result<Answer, ToolError> {
    let Input { session_id, force } = arguments::read(given)?;
    cx.sessions.delete(&session_id, force.unwrap_or_default()).await?;
    let text = format!("Session {session_id} is deleted.");
    let output = Output { session_id: session_id.to_string(), deleted: true, warnings: Vec::new() };
    Ok(Answer::new(&output, text))
}
