//! What a client is told when something goes wrong: a stable code, one sentence, the next step.
//!
//! What the caller can act on is a tool result; only our own fault is a protocol error. The mapping is
//! exhaustive on purpose: a new error does not compile until it has a code and a next step. [`session`] maps what the
//! core refuses, [`codex`] what Codex and the store do, [`turn`] how a turn ended.

mod codex;
mod session;
mod turn;

use std::sync::Arc;

use jiff::Timestamp;
use rmcp::model::ErrorData;
use serde::Serialize;

use crate::session::{Scope, SessionError};
pub(super) use turn::{cancelled_turn, failed_turn, interrupted_turn, question_expired};

/// After how many seconds to call again where what is missing comes back by itself.
const SOON: u64 = 5;

/// Why a tool did not do what was asked.
#[derive(Debug)]
pub(in crate::mcp) enum ToolError {
    /// Something the caller, or the person behind it, can act on.
    Caller(UserError),
    /// A fault of this server. The detail is for the log.
    Internal(String),
}

/// An error that the caller, or the person behind it, can act on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UserError {
    /// Stable; for programs.
    pub code: &'static str,
    /// One sentence; for people.
    pub message: String,
    pub next: String,
    /// After how many seconds it makes sense to call again, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<u64>,
}

/// Says what an error means and what to do about it.
pub fn explain(error: &SessionError) -> UserError {
    match ToolError::from(error) {
        ToolError::Caller(error) => error,
        ToolError::Internal(message) => {
            let next = "This is a fault of this server; please report it.".to_owned();
            UserError::new("internal", message, next)
        }
    }
}

impl UserError {
    pub(in crate::mcp) fn new(
        code: &'static str,
        message: impl Into<String>,
        next: impl Into<String>,
    ) -> Self {
        let retry_after_seconds =
            matches!(code, "store_unavailable" | "shutting_down" | "too_much_work").then_some(SOON);
        Self { code, message: message.into(), next: next.into(), retry_after_seconds }
    }

    fn again_at(mut self, when: Option<Timestamp>) -> Self {
        let wait = when.map(|when| when.duration_since(Timestamp::now()).as_secs().max(0));
        self.retry_after_seconds = wait.and_then(|wait| u64::try_from(wait).ok());
        self
    }
}

impl ToolError {
    /// The error for a bad argument.
    pub(in crate::mcp) fn argument(name: &str, reason: &str) -> Self {
        Self::caller(
            "invalid_argument",
            format!("Argument `{name}`: {reason}."),
            format!("Call again with a valid `{name}`, or without it if it is optional."),
        )
    }

    /// The error for a caller whose token allows less than is needed.
    pub(in crate::mcp) fn scope(has: Scope, needed: Scope) -> Self {
        let (has, needed) = (has.as_str(), needed.as_str());
        Self::caller(
            "insufficient_scope",
            format!("This needs the scope `{needed}`; the token has `{has}`."),
            format!("Ask the operator for a token with `--scope {needed}`."),
        )
    }

    fn caller(code: &'static str, message: impl Into<String>, next: impl Into<String>) -> Self {
        Self::Caller(UserError::new(code, message, next))
    }

    /// The same, and when to call again.
    fn again_at(self, when: Option<Timestamp>) -> Self {
        match self {
            Self::Caller(error) => Self::Caller(error.again_at(when)),
            internal @ Self::Internal(_) => internal,
        }
    }

    #[cfg(test)]
    pub(in crate::mcp) fn message(&self) -> &str {
        match self {
            Self::Caller(error) => &error.message,
            Self::Internal(detail) => detail,
        }
    }
}

/// A protocol error with an id that the log has too. The detail is only in the log.
pub(in crate::mcp) fn internal(detail: &str) -> ErrorData {
    let id = uuid::Uuid::new_v4();
    tracing::error!(%id, detail, "internal error");
    ErrorData::internal_error(
        format!("internal error {id}; the server's log (stderr) has the details under this id"),
        None,
    )
}

impl From<ToolError> for ErrorData {
    fn from(error: ToolError) -> Self {
        match error {
            ToolError::Caller(error) => {
                Self::invalid_request(format!("{} {}", error.message, error.next), None)
            }
            ToolError::Internal(detail) => internal(&detail),
        }
    }
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
    use crate::session::CodexError;

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
