//! Running a turn, for the tools that do.

use std::time::Duration;

use super::{
    tool::{Cx, Outcome},
    turn_view,
};
use crate::{
    mcp::{
        call::{Caller, follow},
        error::ToolError,
    },
    session::{Request, SessionName},
};

/// Sends a request to a session, or to a new one, and goes along until there is something to answer.
/// A name that is a thread's means the session that has it.
pub(super) async fn run(
    cx: &Cx,
    caller: &Caller,
    name: Option<SessionName>,
    mut request: Request,
    wait: Option<Duration>,
) -> Result<Outcome, ToolError> {
    request.origin = cx.origin.clone();
    let name = match name {
        Some(given) => Some(cx.sessions.of_thread(&given).await?),
        None => None,
    };
    let call = cx.sessions.send(name, request).await?;
    Ok(turn_view::outcome(follow(&cx.sessions, &cx.codec, caller, call, wait).await?, cx))
}
