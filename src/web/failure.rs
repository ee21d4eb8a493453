//! What the page is told when something goes wrong.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::session::SessionError;

/// An error in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Said {
    /// Stable; for programs.
    pub code: &'static str,
    /// One sentence; for people.
    pub message: String,
    pub next: String,
}

/// An error as an answer.
#[derive(Debug)]
pub struct Failure {
    pub(super) status: StatusCode,
    pub(super) said: Said,
}

impl Failure {
    /// Of what was asked, something is wrong.
    pub(super) fn wrong(message: impl Into<String>) -> Self {
        let next = "Correct it and ask again.".to_owned();
        let said = Said { code: "invalid_argument", message: message.into(), next };
        Self { status: StatusCode::BAD_REQUEST, said }
    }

    /// There is no such thing.
    pub(super) fn missing(message: impl Into<String>) -> Self {
        let next = "Look at the list of sessions.".to_owned();
        let said = Said { code: "not_found", message: message.into(), next };
        Self { status: StatusCode::NOT_FOUND, said }
    }

    pub(super) fn status_of(error: &SessionError) -> StatusCode {
        match error {
            SessionError::Scope { .. } => StatusCode::FORBIDDEN,
            SessionError::Unknown { .. } | SessionError::NoTurn { .. } => StatusCode::NOT_FOUND,
            SessionError::Busy { .. }
            | SessionError::Idle { .. }
            | SessionError::Taken { .. }
            | SessionError::ApprovalExpired { .. }
            | SessionError::NotSteered { .. }
            | SessionError::Unapplied { .. } => StatusCode::CONFLICT,
            SessionError::TooMuchWork { .. }
            | SessionError::DayUsedUp { .. }
            | SessionError::UsageLimit { .. }
            | SessionError::QueueFull { .. } => StatusCode::TOO_MANY_REQUESTS,
            SessionError::Store(_)
            | SessionError::ShuttingDown
            | SessionError::LeftToOthers { .. } => StatusCode::SERVICE_UNAVAILABLE,
            SessionError::Codex(_) => StatusCode::BAD_GATEWAY,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.status, Json(self.said)).into_response()
    }
}
