//! `interrupt`: stops the turn that runs in a session.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::tool::{Call, Callable, Cx, Effect, Outcome};
use crate::{
    mcp::{answer::Answer, cut::cut, error::ToolError, schema},
    session::{SessionName, SessionStatus},
};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Interrupt {
    /// The session.
    #[schemars(with = "schema::Name")]
    session_id: SessionName,
}

impl Callable for Interrupt {
    const NAME: &'static str = "interrupt";
    const TITLE: &'static str = "Stop Codex";
    const DESCRIPTION: &'static str = "Stops the turn that is running in a session, whichever client started it. What it has \
                  done until then stays done, what it has answered stays in the session, and the \
                  session can be used again at once.";
    const EFFECT: Effect = Effect::Removes;

    type Output = Output;

    async fn call(self, cx: &Cx, _: Call<'_>) -> Result<Outcome, ToolError> {
        let Self { session_id } = self;
        let reply = cx.sessions.interrupt(&session_id).await?;
        let turn = reply.as_ref().map(|reply| &reply.turn);
        let stopped = [SessionStatus::Interrupted, SessionStatus::Cancelled];
        let interrupted = turn.is_some_and(|turn| stopped.contains(&turn.status));
        let response = turn.map_or("", |turn| cut(&turn.response, cx.max_text).0);
        let said = match turn {
            None => format!("No turn is running in session {session_id}."),
            Some(turn) if turn.status == SessionStatus::Cancelled => {
                format!("Turn {} was called off before it began.", turn.number)
            }
            Some(turn) if interrupted => format!("Turn {} was interrupted.", turn.number),
            Some(turn) => format!("Turn {} had just ended by itself.", turn.number),
        };
        let output = Output {
            session_id: session_id.to_string(),
            interrupted,
            turn: turn.map(|turn| turn.number),
            status: turn.map(|turn| turn.status.as_str()),
            response: response.to_owned(),
            warnings: Vec::new(),
        };
        let text = format!("{said}\n\n{response}");
        Ok(Answer::new(&output, text.trim_end()).into())
    }
}

#[skip_serializing_none]
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Output {
    /// The session.
    session_id: String,
    /// Whether a turn was stopped; false if none was running or it ended by itself.
    interrupted: bool,
    /// The number of the turn.
    turn: Option<u32>,
    /// What the turn came to.
    status: Option<&'static str>,
    /// What there is of its answer.
    response: String,
    /// What to know besides.
    warnings: Vec<String>,
}
