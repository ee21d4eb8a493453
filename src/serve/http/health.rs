//! How the server is, for the operator's programs. Says nothing about tenants.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};

use super::app::App;

/// The process lives.
pub(super) async fn alive() -> &'static str {
    "ok\n"
}

/// It can take calls.
pub(super) async fn ready(State(app): State<Arc<App>>) -> (StatusCode, &'static str) {
    if app.draining.is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, "draining\n");
    }
    match app.authenticator.is_ready().await {
        Ok(()) => (StatusCode::OK, "ok\n"),
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "not ready");
            (StatusCode::SERVICE_UNAVAILABLE, "the store cannot be read\n")
        }
    }
}
