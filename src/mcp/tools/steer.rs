//! `steer`: says something more to the turn that runs in a session.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::tool::{Call, Callable, Cx, Effect, Outcome};
use crate::{
    mcp::{answer::Answer, error::ToolError, schema},
    session::SessionName,
};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Steer {
    /// The session.
    #[schemars(with = "schema::Name")]
    session_id: SessionName,
    /// What to say.
    #[schemars(length(min = 1))]
    prompt: String,
}

impl Callable for Steer {
    const NAME: &'static str = "steer";
    const TITLE: &'static str = "Steer Codex";
    const DESCRIPTION: &'static str = "Says something more to the turn that is running in a session, whichever client started \
                  it: the model hears it before it goes on. Returns at once; the answer comes to whoever \
                  waits for the turn. Use `codex` to ask something when none is running.";
    const EFFECT: Effect = Effect::Acts;

    type Output = Output;

    async fn call(self, cx: &Cx, _: Call<'_>) -> Result<Outcome, ToolError> {
        let Self { session_id, prompt } = self;
        cx.sessions.steer(&session_id, prompt).await?;
        let collect = cx.how_to_collect(session_id.as_str(), None);
        let text = format!("Said to the running turn of session {session_id}. {collect}");
        let output =
            Output { session_id: session_id.to_string(), steered: true, warnings: Vec::new() };
        Ok(Answer::new(&output, text).into())
    }
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Output {
    /// The session.
    session_id: String,
    /// Whether the running turn has heard it.
    steered: bool,
    /// What to know besides.
    warnings: Vec<String>,
}
