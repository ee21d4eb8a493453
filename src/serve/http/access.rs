//! Who calls, and what they are told who may not.

use axum::{
    Json,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;

use crate::mcp::Scope;

/// The token of a request. `None` if it has none, or something else in its place.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (kind, token) = value.split_once(' ')?;
    kind.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The answer to somebody nobody knows. What is wrong with the token is not said.
pub(super) fn unknown(has_token: bool) -> Response {
    let scope = Scope::Run.as_str();
    let (error, why) = if has_token {
        ("invalid_token", "The token is not known here, was revoked, or is over.")
    } else {
        ("missing_token", "A token is needed: `Authorization: Bearer …`.")
    };
    let challenge = if has_token {
        format!("Bearer realm=\"codex-mcp-server\", error=\"{error}\", scope=\"{scope}\"")
    } else {
        format!("Bearer realm=\"codex-mcp-server\", scope=\"{scope}\"")
    };
    let mut response = refused(
        StatusCode::UNAUTHORIZED,
        error,
        why,
        "Ask the operator for one: `codex-mcp-server token new --tenant NAME`.",
    );
    if let Ok(challenge) = HeaderValue::try_from(challenge) {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    response
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_the_header_has_it() {
        for (value, token) in [
            ("Bearer abc", Some("abc")),
            ("bearer  abc ", Some("abc")),
            ("Basic abc", None),
            ("abc", None),
            ("", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
            assert_eq!(bearer(&headers), token, "{value}");
        }
        assert_eq!(bearer(&HeaderMap::new()), None);
    }
}
