//! Keeps other pages, and what models write, from doing anything here.

use axum::{
    extract::Request,
    http::{HeaderName, HeaderValue, Method, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::failure::{Failure, Said};

/// What the page sends with each write. A page of another origin cannot, without asking first.
const WRITES: HeaderName = HeaderName::from_static("x-codex-mcp");

/// Nothing but our own files and our own API, whatever is in an answer.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// What every answer says besides.
const HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Refuses writes that another page may have caused, and adds the headers that keep this page to itself.
pub async fn protect(request: Request, next: Next) -> Response {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let mut response = if is_read || request.headers().contains_key(WRITES) {
        next.run(request).await
    } else {
        let said = Said {
            code: "forbidden",
            message: "This request did not come from the page.".to_owned(),
            next: format!("Send the header `{WRITES}: 1` with it."),
        };
        Failure { status: axum::http::StatusCode::FORBIDDEN, said }.into_response()
    };
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    let kept = HeaderValue::from_static("no-store");
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(kept);
    response
}
