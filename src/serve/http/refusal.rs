//! Answers on the level of HTTP that say what is wrong and what to do.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;

/// After how many seconds a client shall try again.
pub(super) const SOON: u16 = 1;

/// An answer that says what is wrong and what to do.
pub(super) fn refused(status: StatusCode, code: &str, message: &str, next: &str) -> Response {
    (status, Json(json!({"error": code, "error_description": message, "next": next})))
        .into_response()
}

/// The same for what may go better later.
pub(super) fn retry_later(status: StatusCode, code: &str, message: &str, seconds: u16) -> Response {
    let next = format!("Try again in {seconds} seconds.");
    let mut response = refused(status, code, message, &next);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    response
}
