//! How a turn ended that did not complete.

use jiff::Timestamp;

use super::{LEASE_LOST, ToolError, UserError};
use crate::session::{FailureKind, Stop, TurnFailure};

/// The error for a failed turn, with Codex's own message. `back_at` is when the account's limit resets.
pub(in crate::mcp) fn failed_turn(failure: &TurnFailure, back_at: Option<Timestamp>) -> UserError {
    let (code, next) = match failure.kind {
        FailureKind::Unauthorized => (
            "unauthorized",
            "Run `codex login` in a terminal, or mend the key of the configured model provider.",
        ),
        FailureKind::ModelRefused => (
            "model_refused",
            "Leave `model` out to use Codex's own. `listModels` lists the others.",
        ),
        FailureKind::EffortRefused => (
            "effort_refused",
            "Use a `reasoningEffort` that the model takes; `listModels` names them.",
        ),
        FailureKind::BadRequest => (
            "bad_request",
            "Correct what the provider complains about; often the model or the reasoning effort.",
        ),
        FailureKind::RateLimited => {
            ("rate_limited", "Wait a moment and call again; the session goes on.")
        }
        FailureKind::UsageLimit => (
            "usage_limit",
            "Wait until the limit resets, or use another account; the session goes on afterwards.",
        ),
        FailureKind::ContextWindow => (
            "context_window_exceeded",
            "Start afresh with `resetSession`, or go on in a new session with a summary.",
        ),
        FailureKind::Provider => ("provider_error", "Call again; the session goes on."),
        FailureKind::Sandbox => (
            "sandbox_error",
            "Codex cannot set up its sandbox on this machine; see its own documentation on sandboxing.",
        ),
        FailureKind::Exited => (
            "codex_exited",
            "Call again: Codex is started anew and the session continues. What this turn began may have \
             been done in part.",
        ),
        FailureKind::Incomplete => (
            "review_incomplete",
            "Nothing is known about the rest of the changes: review again, or in smaller parts (`paths`, `commit`).",
        ),
        FailureKind::Other => ("turn_failed", "Read Codex's words; the session can be used again."),
    };
    let message = match failure.message.trim() {
        "" => "The turn failed and Codex did not say why.",
        words => words,
    };
    let next = match (failure.kind, back_at) {
        (FailureKind::UsageLimit | FailureKind::RateLimited, Some(at)) => {
            format!("The limit resets at {at}. {next}")
        }
        _ => next.to_owned(),
    };
    // The next step follows it on the same line.
    let is_open = message.ends_with(|last: char| last.is_alphanumeric() || last == ')');
    let message = format!("{message}{}", if is_open { "." } else { "" });
    UserError::new(code, message, next).again_at(back_at)
}

/// The error for a turn that was stopped before it was complete.
pub(in crate::mcp) fn interrupted_turn(stop: Option<Stop>) -> UserError {
    const GO_ON: &str = "What there is of the answer is in the session; call again to go on.";
    let (code, message, next) = match stop {
        Some(Stop::Timeout) => (
            "turn_timeout",
            "The turn took longer than allowed and was interrupted.",
            "What there is of the answer is in the session; call again to go on, with a higher \
             `timeoutSeconds` or in smaller steps.",
        ),
        Some(Stop::Silence) => (
            "turn_silent",
            "Codex said nothing for too long and was interrupted; its provider may be unreachable.",
            "Check the network and Codex's model provider, then call again. The operator can raise \
             `turn.silence`.",
        ),
        Some(Stop::Cancelled) => {
            ("interrupted", "The turn was interrupted: its call was taken back.", GO_ON)
        }
        Some(Stop::Interrupted) => ("interrupted", "The turn was interrupted on request.", GO_ON),
        Some(Stop::Decision) => {
            ("interrupted", "The turn was stopped by the answer to what Codex asked.", GO_ON)
        }
        Some(Stop::LeaseLost) => (
            "lease_lost",
            "This server lost its lease on the session while the turn ran: it was suspended, or could not reach \
             its store, for too long. The turn was interrupted.",
            LEASE_LOST,
        ),
        Some(Stop::Shutdown) => {
            ("interrupted", "The turn was interrupted because the server ended.", GO_ON)
        }
        Some(Stop::Abandoned) | None => {
            ("interrupted", "The turn was interrupted before it was complete.", GO_ON)
        }
    };
    UserError::new(code, message, next)
}

/// The error for a turn that was called off before it began.
pub(in crate::mcp) fn cancelled_turn(stop: Option<Stop>, reason: Option<&str>) -> UserError {
    let why = match (reason, stop) {
        (Some(reason), _) => format!(": {reason}"),
        (None, Some(Stop::Shutdown)) => ": the server ended, and its call with it".to_owned(),
        (None, Some(Stop::Abandoned)) => {
            ": the server it was sent to ended, and its call with it".to_owned()
        }
        (None, Some(Stop::Cancelled)) => ": its call was taken back".to_owned(),
        (None, Some(Stop::Interrupted)) => " on request".to_owned(),
        (None, _) => String::new(),
    };
    let message = format!("The turn was cancelled before it began{why}.");
    UserError::new("cancelled", message, "Codex was told nothing of it. Call again.")
}

/// The error for an answer to a question that is not open, or that this server did not ask.
pub(in crate::mcp) fn question_expired() -> ToolError {
    ToolError::caller(
        "question_expired",
        "The question this answers is not open any more.",
        "Use `wait` to learn what became of the turn. Or `getSession`, when it is over.",
    )
}
