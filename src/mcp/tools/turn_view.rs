//! How a turn looks in results: the same for every tool that runs or waits for one.

use schemars::JsonSchema;
use serde::Serialize;
use serde_with::skip_serializing_none;

use super::tool::{Cx, Outcome};
use crate::{
    mcp::{
        answer::Answer,
        call::{CallProgress, CallState},
        cut::cut,
        error::{UserError, cancelled_turn, failed_turn, interrupted_turn},
        resources,
    },
    session::{
        ChangedFile, CommandRun, Detached, QueuePosition, Reply, SessionName, SessionStatus,
        TurnDetails,
    },
};

#[skip_serializing_none]
#[derive(Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Output {
    /// Codex's answer.
    response: String,
    /// The session; pass it again to continue. Absent if nothing was kept.
    session_id: Option<String>,
    /// The same as response, for clients of Codex's own removed server.
    content: Option<String>,
    /// The turn's number in the session, from 1; for getSession and wait.
    turn: Option<u32>,
    /// completed, interrupted, failed, or running (use the wait tool for the answer).
    status: &'static str,
    #[serde(flatten)]
    details: TurnDetails,
    /// Commands Codex ran, with their exit codes.
    commands: Vec<CommandRun>,
    /// Files Codex changed; kind is add, update or delete.
    files_changed: Vec<ChangedFile>,
    /// Whether the answer was cut; getSession with this turn, or the linked resource, has all of it.
    truncated: bool,
    /// True if this call repeats an earlier one whose answer nobody had: it got that turn, and no second one ran.
    joined: Option<bool>,
    /// What to know besides.
    warnings: Vec<String>,
}

/// Shows how far a call has come.
pub(in crate::mcp) fn outcome(progress: CallProgress, cx: &Cx) -> Outcome {
    let CallProgress { state, warnings, joined } = progress;
    let mut answer = match state {
        CallState::InputRequired(asked) => return Outcome::InputRequired(asked),
        CallState::Task(task) => return Outcome::Task(task),
        CallState::Over(reply) => over(&reply, cx),
        CallState::Running(_, Detached::Begun(reply)) => running(&reply, cx),
        CallState::Running(session, Detached::Queued(position)) => {
            waiting(&session, Some(position), None, cx)
        }
        CallState::Running(session, Detached::Unseen(turn)) => waiting(&session, None, turn, cx),
    };
    for warning in &warnings {
        answer.warn(warning);
    }
    if joined {
        answer.mark_joined();
    }
    answer.into()
}

/// Shows a turn that is over; one that failed or was interrupted is an error with everything there is.
pub(in crate::mcp) fn over(reply: &Reply, cx: &Cx) -> Answer {
    let turn = &reply.turn;
    let error = match turn.status {
        SessionStatus::Failed => {
            let failure = turn.details.failure.as_ref();
            let back_at = turn.details.rate_limits.and_then(|limits| limits.back_at());
            Some(failure.map_or_else(unknown_failure, |failure| failed_turn(failure, back_at)))
        }
        SessionStatus::Interrupted => Some(interrupted_turn(turn.details.stopped)),
        SessionStatus::Cancelled => {
            let reason = turn.details.failure.as_ref().map(|failure| failure.message.as_str());
            Some(cancelled_turn(turn.details.stopped, reason))
        }
        _ => None,
    };
    let answer = answer(reply, cx, "");
    match error {
        Some(error) => answer.with_error(error),
        None => answer,
    }
}

/// Shows a turn that goes on.
fn running(reply: &Reply, cx: &Cx) -> Answer {
    let number = reply.turn.number;
    let collect = cx.how_to_collect(reply.session.as_str(), Some(number));
    let stop = if cx.offers("interrupt") { " Stop it with interrupt." } else { "" };
    let note = format!("\n[turn {number} is still running. {collect}{stop}]");
    answer(reply, cx, &note)
}

/// Shows a call whose turn has not begun, or cannot be seen from here.
fn waiting(
    session: &SessionName,
    position: Option<QueuePosition>,
    turn: Option<u32>,
    cx: &Cx,
) -> Answer {
    let how = match position {
        Some(QueuePosition { not_before: Some(until), .. }) => {
            format!("the turn has not begun; it waits for the account's usage limit, until {until}")
        }
        Some(position) => format!("the turn has not begun; {} before it", turns(position.ahead)),
        None => "the turn is under way".to_owned(),
    };
    let turn = position.and_then(|position| position.turn).or(turn);
    let not_before = position.and_then(|position| position.not_before);
    let output = Output {
        session_id: Some(session.to_string()),
        turn,
        status: "running",
        details: TurnDetails { not_before, ..TurnDetails::default() },
        ..Output::default()
    };
    let collect = cx.how_to_collect(session.as_str(), turn);
    let text = format!("Session {session} is running: {how}. {collect}");
    Answer::new(&output, text)
}

fn answer(reply: &Reply, cx: &Cx, note: &str) -> Answer {
    let Reply { session, turn } = reply;
    let max_text = cx.max_text;
    let (response, truncated) = cut(&turn.response, max_text);
    let mut text = response.to_owned();
    let number = turn.number;
    if truncated {
        let length = turn.response.chars().count();
        text += &format!(
            "\n[cut at {max_text} of {length} characters; getSession with turn {number} has the rest]"
        );
    }
    let warnings = turn.warnings();
    for warning in &warnings {
        text += &format!("\n[warning: {warning}]");
    }
    text += note;
    let details = turn.shown();
    let is_kept = !turn.details.ephemeral || turn.status == SessionStatus::Running;
    let parts = [
        is_kept.then(|| format!("session {session}")),
        details.thread_id.as_ref().map(|id| format!("thread {id}")),
        details.continuity.map(|continuity| continuity.as_str().to_owned()),
        details.moved_from.as_ref().map(|machine| format!("moved from {machine}")),
    ];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    text = format!("{text}\n\n[{}]", parts.join(" · "));
    let size = turn.response.len();
    let beside = [
        ("threadId", details.thread_id.as_ref().map(ToString::to_string)),
        ("model", details.effective.as_ref().and_then(|effective| effective.model.clone())),
        ("sessionId", is_kept.then(|| session.to_string())),
    ];
    let beside = beside.into_iter().filter_map(|(key, text)| Some((key.to_owned(), text?.into())));
    let beside = beside.chain(turn.details.beside.clone());
    let links: Vec<_> = details.sources.iter().map(resources::page).collect();
    let output = Output {
        response: response.to_owned(),
        session_id: is_kept.then(|| session.to_string()),
        content: cx.is_vendor.then(|| response.to_owned()),
        turn: Some(number),
        status: turn.status.as_str(),
        details,
        commands: turn.commands(),
        files_changed: turn.files_changed(),
        truncated,
        joined: None,
        warnings,
    };
    let answer = Answer::new(&output, text).with_beside(beside.collect());
    let answer = links.into_iter().fold(answer, Answer::with_link);
    if truncated { answer.with_link(resources::link(session, number, size)) } else { answer }
}

fn unknown_failure() -> UserError {
    let message = "The turn failed and nobody said why.";
    UserError::new("turn_failed", message, "Call again; the session goes on.")
}

fn turns(count: usize) -> String {
    if count == 1 { "one turn is".to_owned() } else { format!("{count} turns are") }
}
