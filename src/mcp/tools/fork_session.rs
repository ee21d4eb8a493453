//! `forkSession`: goes on from where a session is, and leaves it as it is.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    session_view::SessionView,
    tool::{Call, Callable, Cx, Effect, Outcome},
};
use crate::{
    mcp::{answer::Answer, arguments, error::ToolError, schema},
    session::{ForkSource, Forked, SessionName, ThreadId},
};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ForkSession {
    /// The session to fork.
    #[schemars(with = "Option<schema::Name>")]
    session_id: Option<SessionName>,
    /// Codex's own id of a conversation to fork, in place of sessionId.
    thread_id: Option<String>,
    /// Name of the new session: 1 to 256 of A-Z a-z 0-9 _ -. Default: one is made up.
    #[schemars(with = "Option<schema::Name>")]
    new_session_id: Option<SessionName>,
    /// The last turn the new session knows of, from 1. Default: the last complete one.
    #[schemars(range(min = 1))]
    turn: Option<u32>,
}

impl Callable for ForkSession {
    const NAME: &'static str = "forkSession";
    const TITLE: &'static str = "Fork a session";
    const DESCRIPTION: &'static str = "Makes a new session with the history of another one, to try something else from there. \
                  The other one stays as it is, and may be running. Also takes the `threadId` of a \
                  conversation that another program has open.";
    const EFFECT: Effect = Effect::Adds;

    type Output = Output;

    async fn call(self, cx: &Cx, _: Call<'_>) -> Result<Outcome, ToolError> {
        let input = self;
        let source = match (input.session_id, input.thread_id) {
            (Some(session), None) => {
                ForkSource::Session(cx.sessions.of_thread(&session).await?, input.turn)
            }
            (None, Some(thread)) => {
                let name = arguments::thread("threadId", &thread)?;
                ForkSource::Thread(ThreadId(name.to_string()))
            }
            _ => {
                return Err(ToolError::argument("sessionId", "pass either it or `threadId`"));
            }
        };
        let Forked { session, rebuilt } =
            cx.sessions.fork(source, input.new_session_id, cx.origin.clone()).await?;
        let warnings = rebuilt.map(|reason| {
            format!(
                "Codex could not fork its own thread ({reason}); the next turn is given the last turns from \
                 this server's record."
            )
        });
        let name = session.name.to_string();
        let output = Output {
            session: session.into(),
            continuity: if warnings.is_some() { "rebuilt" } else { "resumed" },
            warnings: warnings.into_iter().collect(),
        };
        let text = format!("The new session is {name}. Use it as sessionId to go on.");
        Ok(Answer::new(&output, text).into())
    }
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Output {
    /// The new session.
    session: SessionView,
    /// resumed (Codex has forked its own thread), or rebuilt (the next turn is given the last turns from
    /// this server's record).
    continuity: &'static str,
    /// What to know besides.
    warnings: Vec<String>,
}
