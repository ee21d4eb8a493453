//! `deleteSession`: forgets a session.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::tool::{Call, Callable, Cx, Effect, Outcome};
use crate::{
    mcp::{answer::Answer, error::ToolError, schema},
    session::SessionName,
};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct DeleteSession {
    /// The session to delete.
    #[schemars(with = "schema::Name")]
    session_id: SessionName,
    /// Delete it even if its worktree has changes that are nowhere else. Default: false.
    force: Option<bool>,
}

impl Callable for DeleteSession {
    const NAME: &'static str = "deleteSession";
    const TITLE: &'static str = "Delete a session";
    const DESCRIPTION: &'static str = "Deletes a session, this server's record of its turns, and its worktree. Codex's own thread stays \
                  and can still be resumed with `codex resume`.";
    const EFFECT: Effect = Effect::Removes;

    type Output = Output;

    async fn call(self, cx: &Cx, _: Call<'_>) -> Result<Outcome, ToolError> {
        let Self { session_id, force } = self;
        cx.sessions.delete(&session_id, force.unwrap_or_default()).await?;
        let text = format!("Session {session_id} is deleted.");
        let output =
            Output { session_id: session_id.to_string(), deleted: true, warnings: Vec::new() };
        Ok(Answer::new(&output, text).into())
    }
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Output {
    /// The session that is gone.
    session_id: String,
    /// Always true; a session that was not there is an error.
    deleted: bool,
    /// What to know besides.
    warnings: Vec<String>,
}
