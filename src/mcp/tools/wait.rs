//! `wait`: the answer of a turn whose call has been detached from it.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    tool::{Call, Callable, Cx, Effect, Outcome},
    turn_view,
};
use crate::{
    mcp::{
        arguments,
        call::{CallState, follow},
        error::ToolError,
        schema,
    },
    session::{Detached, Follower, SessionName, SessionStatus},
};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct WaitForTurn {
    /// The session.
    #[schemars(with = "schema::Name")]
    session_id: SessionName,
    /// Number of the turn to wait for. Default: the one that is running, else the last.
    #[schemars(range(min = 1))]
    turn: Option<u32>,
    /// Seconds to wait, 0 to 86400. Default: as long as this client waits.
    #[schemars(range(min = 0, max = 86_400))]
    wait_seconds: Option<u64>,
}

impl Callable for WaitForTurn {
    const NAME: &'static str = "wait";
    const TITLE: &'static str = "Wait for Codex";
    const DESCRIPTION: &'static str = "Waits for the turn that is running in a session and returns its answer, just as the \
                  call that started it would have. If it is still running after `waitSeconds`, says \
                  so with what there is of the answer. If none is running it returns the last one.";
    const EFFECT: Effect = Effect::Reads;

    type Output = turn_view::Output;

    async fn call(self, cx: &Cx, Call { caller, .. }: Call<'_>) -> Result<Outcome, ToolError> {
        let input = self;
        let wait = arguments::seconds("waitSeconds", input.wait_seconds, 0)?;
        if input.turn == Some(0) {
            return Err(ToolError::argument("turn", "turns count from 1"));
        }
        let session = input.session_id;
        let follower =
            Follower { attached: false, can_ask: caller.can_ask(true), looks_only: false };
        let call = cx.sessions.follow(&session, input.turn, follower).await?;
        let mut progress = follow(&cx.sessions, &cx.codec, caller, call, wait).await?;
        // A turn that another server runs can be seen as far as that one has written it down.
        if let CallState::Running(session, Detached::Unseen(_)) = &progress.state
            && let Some(reply) = cx.sessions.recorded(session, input.turn).await?
            && reply.turn.status != SessionStatus::Queued
        {
            let reply = Arc::new(reply);
            progress.state = if reply.is_over() {
                CallState::Over(reply)
            } else {
                CallState::Running(session.clone(), Detached::Begun(reply))
            };
        }
        Ok(turn_view::outcome(progress, cx))
    }
}
