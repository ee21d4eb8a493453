//! What a client is told when something goes wrong: a stable code, one sentence, the next step.
//!
//! What the caller can act on is a tool result; only our own fault is a protocol error. The mapping is
//! exhaustive on purpose: a new error does not compile until it has a code and a next step.

use std::sync::Arc;

use rmcp::model::ErrorData;
use serde::Serialize;

use crate::session::{
    CodexError, CodexVersion, FailureKind, RepositoryError, SessionError, Stop, TurnFailure,
    store::StoreError,
};

/// Why a tool did not do what was asked.
#[derive(Debug)]
pub(super) enum ToolError {
    /// Something the caller, or the person behind it, can act on.
    Caller(UserError),
    /// A fault of this server. The detail is for the log.
    Internal(String),
}

/// An error that the caller, or the person behind it, can act on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UserError {
    /// Stable; for programs.
    pub code: &'static str,
    /// One sentence; for people.
    pub message: String,
    /// The next step.
    pub next: String,
}

/// Says what an error means and what to do about it.
pub fn explain(error: SessionError) -> UserError {
    match ToolError::from(error) {
        ToolError::Caller(error) => error,
        ToolError::Internal(message) => {
            let next = "This is a fault of this server; please report it.".to_owned();
            UserError { code: "internal", message, next }
        }
    }
}

impl ToolError {
    /// The error for a bad argument.
    pub(super) fn argument(name: &str, reason: &str) -> Self {
        Self::caller(
            "invalid_argument",
            format!("Argument `{name}`: {reason}."),
            format!("Call again with a valid `{name}`, or without it if it is optional."),
        )
    }

    fn caller(code: &'static str, message: impl Into<String>, next: impl Into<String>) -> Self {
        Self::Caller(UserError { code, message: message.into(), next: next.into() })
    }

    #[cfg(test)]
    pub(super) fn message(&self) -> &str {
        match self {
            Self::Caller(error) => &error.message,
            Self::Internal(detail) => detail,
        }
    }
}

/// A protocol error with an id that the log has too. The detail is only in the log.
pub(super) fn internal(detail: &str) -> ErrorData {
    let id = uuid::Uuid::new_v4();
    tracing::error!(%id, detail, "internal error");
    ErrorData::internal_error(
        format!("internal error {id}; the server's log (stderr) has the details under this id"),
        None,
    )
}

impl From<SessionError> for ToolError {
    fn from(error: SessionError) -> Self {
        Self::from(&error)
    }
}

impl From<Arc<SessionError>> for ToolError {
    fn from(error: Arc<SessionError>) -> Self {
        Self::from(&*error)
    }
}

impl From<&SessionError> for ToolError {
    fn from(error: &SessionError) -> Self {
        let message = sentence(error);
        let (code, next) = match error {
            SessionError::Codex(error) => return error.into(),
            SessionError::Store(error) => return error.into(),
            SessionError::Unknown { .. } => (
                "unknown_session",
                "Use `listSessions` for the names there are. Sessions expire when they are not used.",
            ),
            SessionError::Busy { .. } => (
                "session_busy",
                "Wait for its turn with `wait`. Stop it with `interrupt`. Or use another session.",
            ),
            SessionError::Idle { .. } => {
                ("session_idle", "Use `codex` to ask something. `getSession` shows what was said.")
            }
            SessionError::NoTurn { .. } => {
                ("unknown_turn", "Leave `turn` out for the one that is running, else the last.")
            }
            SessionError::NotSteered { .. } => {
                ("not_steered", "Its turn may have just ended. Use `codex` to ask again.")
            }
            SessionError::SteerUnconfirmed { .. } => (
                "steer_unconfirmed",
                "Do not say it again before you have looked: `wait` gets the turn's answer, which shows whether it \
                 was heard.",
            ),
            SessionError::Cancelled => ("cancelled", "Call again if the answer is still wanted."),
            SessionError::ApprovalExpired { .. } => (
                "question_expired",
                "It was answered already, its time is over, or its turn has ended. Use `wait` to learn what became \
                 of the turn.",
            ),
            SessionError::DecisionNotOffered { .. } => {
                ("decision_not_offered", "Answer with one of those decisions.")
            }
            SessionError::EffortRefused { .. }
            | SessionError::PromptEmpty
            | SessionError::PromptTooLong { .. }
            | SessionError::Image { .. }
            | SessionError::TooManyImages { .. }
            | SessionError::Schema { .. } => return Self::refused_argument(error, &message),
            SessionError::QueueFull { .. } => {
                ("session_busy", "Wait for the calls that are under way, or use another session.")
            }
            SessionError::Full { .. } => (
                "too_many_sessions",
                "Wait until a turn is over. The operator can raise `session.cap`.",
            ),
            SessionError::Directory { .. } => (
                "directory_unusable",
                "Pass a `workingDirectory` that exists and can be read; an absolute path is best.",
            ),
            SessionError::SandboxAboveCeiling { .. } => (
                "sandbox_not_allowed",
                "Use a narrower `sandbox`. The operator can raise `limits.sandbox_ceiling`.",
            ),
            SessionError::OutsideRoots { .. } => (
                "directory_not_allowed",
                "Use a path below an allowed directory. `help` lists them. The operator sets `limits.roots`.",
            ),
            SessionError::ModelNotAllowed { .. } => (
                "model_not_allowed",
                "Use one of those, or leave `model` out. The operator sets `limits.models`.",
            ),
            SessionError::ConfigNotAllowed { .. } => (
                "config_not_allowed",
                "Leave it out; for sandbox, approvals, model and directory use their own arguments. The \
                 operator sets `limits.config_keys`.",
            ),
            SessionError::UsageLimit { until: Some(until), .. } => {
                let next = format!(
                    "Call again after {until}. `usage` shows what is left. The operator sets \
                     `limits.min_remaining`, and `limits.when_exhausted` to have turns wait."
                );
                return Self::caller("usage_limit", message, next);
            }
            SessionError::UsageLimit { until: None, .. } => (
                "usage_limit",
                "Call again later. `usage` shows what is left. The operator sets `limits.min_remaining`.",
            ),
            SessionError::Review(error) => nothing_to_review(error),
            SessionError::Nested => (
                "recursion",
                "Codex cannot ask itself through its own MCP server: do it in this conversation. To stop \
                 offering it, disable this server for Codex (`codex.mcp_servers` of the outer one).",
            ),
            SessionError::Taken { .. } => {
                ("session_exists", "Pick another `newSessionId`, or leave it out.")
            }
            SessionError::ShuttingDown => ("shutting_down", "Call again when the server is back."),
        };
        Self::caller(code, message, next)
    }
}

impl ToolError {
    /// The error of one argument whose value cannot be used.
    fn refused_argument(error: &SessionError, message: &str) -> Self {
        let reason = message.trim_end_matches('.');
        match error {
            SessionError::EffortRefused { .. } => Self::argument("reasoningEffort", reason),
            SessionError::Schema { .. } => Self::argument("outputSchema", reason),
            SessionError::PromptEmpty => {
                Self::argument("prompt", "it is empty; say what Codex shall do")
            }
            SessionError::PromptTooLong { length, limit } => {
                let reason = format!(
                    "it has {length} characters, {limit} are allowed; put long material into a file in the \
                     working directory and name the file"
                );
                Self::argument("prompt", &reason)
            }
            _ => Self::argument("images", reason),
        }
    }
}

fn nothing_to_review(error: &RepositoryError) -> (&'static str, &'static str) {
    match error {
        RepositoryError::None(_) => {
            ("not_a_repository", "Pass the `workingDirectory` of a git repository.")
        }
        RepositoryError::Unknown { .. } => (
            "unknown_revision",
            "Check the name with `git branch -a` or `git log`, and fetch it if it is elsewhere.",
        ),
        RepositoryError::Unchanged(_) => {
            ("nothing_to_review", "Change something, or review a `base` or a `commit` instead.")
        }
        RepositoryError::TooLarge { .. } => (
            "review_too_large",
            "Review it in parts: some `paths` at a time, a `commit` at a time, or against a nearer `base`. The \
             operator can raise `limits.review_bytes`.",
        ),
        RepositoryError::Failed { .. } => (
            "git_failed",
            "Run the same in a terminal to see what is wrong with git or the repository.",
        ),
    }
}

impl From<&CodexError> for ToolError {
    fn from(error: &CodexError) -> Self {
        let message = sentence(error);
        let (code, next) = match error {
            CodexError::NotFound { .. } => (
                "codex_not_found",
                "Install the Codex CLI (`npm install -g @openai/codex`), or set `CODEX_BIN` to its path.".to_owned(),
            ),
            CodexError::TooOld { .. } => (
                "codex_too_old",
                format!(
                    "Update it (`npm install -g @openai/codex`); this server needs {} or newer.",
                    CodexVersion::MINIMUM
                ),
            ),
            CodexError::Start { binary, .. } => (
                "codex_start_failed",
                format!("Run `{} --version` in a terminal to see what is wrong with it.", binary.display()),
            ),
            CodexError::NotReached(_) => {
                ("codex_exited", "Call again: Codex is started anew; nothing was begun.".to_owned())
            }
            CodexError::Exited(_) => (
                "codex_exited",
                "Call again: Codex is started anew and the session continues. What this call began may \
                 have been done in part."
                    .to_owned(),
            ),
            CodexError::Timeout { .. } => {
                ("codex_timeout", "Call again; if it happens every time, update Codex.".to_owned())
            }
            CodexError::NotLoggedIn => {
                ("not_logged_in", "Run `codex login` in a terminal, then call again.".to_owned())
            }
            CodexError::ThreadUnavailable { .. } => {
                ("thread_unavailable", "Use `resetSession` to begin anew.".to_owned())
            }
            CodexError::ActiveWriter { .. } => (
                "thread_in_use",
                "Another program has this thread open, such as Codex's own terminal UI or app. Close it \
                 there and call again. Or go on in a copy of it, which `forkSession` makes."
                    .to_owned(),
            ),
            CodexError::Configuration { .. } => (
                "codex_config_invalid",
                "Mend Codex's own configuration file and call again.".to_owned(),
            ),
            CodexError::CallConfig { .. } => (
                "invalid_argument",
                "Correct the value in `config`, the profile or `reasoningEffort`, or leave it out.".to_owned(),
            ),
            CodexError::Unsupported { .. } => (
                "not_supported",
                "Update Codex (`npm install -g @openai/codex`), or do without.".to_owned(),
            ),
            CodexError::Refused { .. } => (
                "codex_refused",
                "Correct what Codex complains about and call again.".to_owned(),
            ),
            CodexError::ShuttingDown => {
                ("shutting_down", "Call again when the server is back.".to_owned())
            }
            CodexError::Answer { .. } | CodexError::Ask { .. } => return Self::Internal(chain(error)),
        };
        Self::caller(code, message, next)
    }
}

impl From<&StoreError> for ToolError {
    fn from(error: &StoreError) -> Self {
        let (code, next) = match error {
            StoreError::Unavailable { .. } => (
                "store_unavailable",
                "Make the path writable or free some disk space and call again; or start the server with \
                 `--store memory`.",
            ),
            StoreError::Newer { .. } => {
                ("store_too_new", "Update this server, or let it use another file (`store.path`).")
            }
            StoreError::Damaged { .. } => (
                "session_damaged",
                "Delete it with `deleteSession`. Or use another session; all others work.",
            ),
            StoreError::Corrupt { .. } => (
                "store_corrupt",
                "Move the file away: this server makes a new one at its next call. If it matters, repair a copy \
                 (`sqlite3 FILE .recover`), or name another file (`store.path`).",
            ),
            StoreError::LeaseLost { .. } => ("lease_lost", LEASE_LOST),
            StoreError::Stale { .. } => ("session_changed", "Call again."),
        };
        Self::caller(code, capitalised(chain(error)), next)
    }
}

/// The error for a failed turn, with Codex's own message. `back_at` is when the account's limit resets (a Unix
/// time).
pub(super) fn failed_turn(failure: &TurnFailure, back_at: Option<i64>) -> UserError {
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
    let back_at = back_at.and_then(|second| jiff::Timestamp::from_second(second).ok());
    let next = match (failure.kind, back_at) {
        (FailureKind::UsageLimit | FailureKind::RateLimited, Some(at)) => {
            format!("The limit resets at {at}. {next}")
        }
        _ => next.to_owned(),
    };
    // The next step follows it on the same line.
    let is_open = message.ends_with(|last: char| last.is_alphanumeric() || last == ')');
    let message = format!("{message}{}", if is_open { "." } else { "" });
    UserError { code, message, next }
}

/// The error for a turn that was stopped before it was complete.
pub(super) fn interrupted_turn(stop: Option<Stop>) -> UserError {
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
        None => ("interrupted", "The turn was interrupted before it was complete.", GO_ON),
    };
    UserError { code, message: message.to_owned(), next: next.to_owned() }
}

/// The error for an answer to a question that is not open, or that this server did not ask.
pub(super) fn question_expired() -> ToolError {
    ToolError::caller(
        "question_expired",
        "The question this answers is not open any more.",
        "Use `wait` to learn what became of the turn. Or `getSession`, when it is over.",
    )
}

/// What to do when another server may have gone on with a session.
const LEASE_LOST: &str = "Use `getSession` to see what is recorded of it, then call again: the session continues with \
                          that.";

fn sentence(error: &dyn std::error::Error) -> String {
    capitalised(error.to_string())
}

fn capitalised(text: String) -> String {
    let mut letters = text.trim_end_matches('.').chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).chain(['.']).collect(),
        None => text,
    }
}

/// The error with everything that led to it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let words = cause.to_string();
        // Some say their cause themselves.
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_and_what_next() {
        let ToolError::Caller(error) = ToolError::from(SessionError::Full { cap: 3 }) else {
            panic!("not for the caller");
        };
        assert_eq!(error.code, "too_many_sessions");
        assert_eq!(error.message, "All 3 sessions are running a turn.");
        assert!(error.next.contains("session.cap"));
    }

    #[test]
    fn our_own_fault_is_not_the_callers() {
        let source = serde_json::from_str::<i32>("x").unwrap_err();
        let error = CodexError::Answer { method: "thread/start", source };
        let ToolError::Internal(detail) = ToolError::from(&error) else {
            panic!("blames the caller")
        };
        assert!(detail.contains("thread/start") && detail.contains("expected value"), "{detail}");
    }
}
