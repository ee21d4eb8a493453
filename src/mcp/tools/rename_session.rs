//! `renameSession`: gives a session another name, and its thread in Codex too.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    session_view::SessionView,
    tool::{Call, Callable, Cx, Effect, Outcome},
};
use crate::{
    mcp::{answer::Answer, error::ToolError, schema},
    session::SessionName,
};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct RenameSession {
    /// The session to rename.
    #[schemars(with = "schema::Name")]
    session_id: SessionName,
    /// Its new name: 1 to 256 of A-Z a-z 0-9 _ -.
    #[schemars(with = "schema::Name")]
    new_session_id: SessionName,
}

impl Callable for RenameSession {
    const NAME: &'static str = "renameSession";
    const TITLE: &'static str = "Rename a session";
    const DESCRIPTION: &'static str = "Gives a session another name. Codex's own thread gets that name too, so `codex resume` \
                  and Codex's apps show it.";
    const EFFECT: Effect = Effect::Adds;

    type Output = Output;

    async fn call(self, cx: &Cx, _: Call<'_>) -> Result<Outcome, ToolError> {
        let Self { session_id, new_session_id } = self;
        let (session, unnamed) = cx.sessions.rename(&session_id, new_session_id).await?;
        let warning = unnamed.map(|reason| {
            format!("Codex's own thread has its old name until the next turn is over ({reason}).")
        });
        let text = format!("Session {session_id} is now {}.", session.name);
        let output = Output { session: session.into(), warnings: warning.into_iter().collect() };
        Ok(Answer::new(&output, text).into())
    }
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Output {
    /// The session under its new name.
    session: SessionView,
    /// What to know besides.
    warnings: Vec<String>,
}
