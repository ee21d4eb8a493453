//! `renameSession`: gives a session another name, and its thread in Codex too.

use rmcp::model::JsonObject;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    session_view::SessionView,
    tool::{Cx, Effect, Tool},
};
use crate::{
    mcp::{answer::Answer, arguments, error::ToolError, schema},
    session::SessionName,
};

pub(super) const TOOL: Tool = Tool {
    name: "renameSession",
    hidden: &[],
    title: "Rename a session",
    description: "Gives a session another name. Codex's own thread gets that name too, so `codex resume` \
                  and Codex's apps show it.",
    effect: Effect::Adds,
    input: schema::of::<Input>,
    output: schema::of_result::<Output>,
    call: |cx, _, given| Box::pin(async move { Ok(call(cx, given).await?.into()) }),
};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Input {
    /// The session to rename.
    #[schemars(with = "schema::Name")]
    session_id: SessionName,
    /// Its new name: 1 to 256 of A-Z a-z 0-9 _ -.
    #[schemars(with = "schema::Name")]
    new_session_id: SessionName,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Output {
    /// The session under its new name.
    session: SessionView,
    /// What to know besides.
    warnings: Vec<String>,
}

async fn call(cx: &Cx, given: Option<JsonObject>) -> Result<Answer, ToolError> {
    let Input { session_id, new_session_id } = arguments::read(given)?;
    let (session, unnamed) = cx.sessions.rename(&session_id, new_session_id).await?;
    let warning = unnamed.map(|reason| {
        format!("Codex's own thread has its old name until the next turn is over ({reason}).")
    });
    let text = format!("Session {session_id} is now {}.", session.name);
    let output = Output { session: session.into(), warnings: warning.into_iter().collect() };
    Ok(Answer::new(&output, text))
}
