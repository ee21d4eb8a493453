//! How the server is, for the operator's programs. Says nothing about tenants.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use tokio::time::Instant;

use super::app::App;
use crate::mcp::SessionError;

/// For how long a Codex that was found is taken to be there. Looking for it starts a process.
const FOUND_FOR: Duration = Duration::from_secs(30);

/// The process lives.
pub(super) async fn alive() -> &'static str {
    "ok\n"
}

/// It can take calls.
pub(super) async fn ready(State(app): State<Arc<App>>) -> Response {
    if app.draining.is_cancelled() {
        return unavailable("draining\n");
    }
    if let Err(error) = store(&app).await {
        return not_ready(&error, "the store cannot be read\n");
    }
    match codex(&app).await {
        Ok(()) => "ok\n".into_response(),
        Err(error) => not_ready(&error, "there is no Codex that can be started\n"),
    }
}

fn not_ready(error: &SessionError, said: &'static str) -> Response {
    tracing::warn!(error = error as &dyn std::error::Error, "not ready");
    unavailable(said)
}

fn unavailable(said: &'static str) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "5")], said).into_response()
}

/// Whether sessions and tokens can be read.
async fn store(app: &App) -> Result<(), SessionError> {
    app.authenticator.is_ready().await?;
    if !app.authenticator.is_open() {
        return Ok(());
    }
    // One that cannot be made is told to its callers.
    let Ok(server) = app.tenants.server(None) else { return Ok(()) };
    server.sessions().load().await.map(drop)
}

/// Whether there is a Codex: the operator's, or that of the first tenant.
async fn codex(app: &App) -> Result<(), SessionError> {
    let mut found = app.codex_found.lock().await;
    if found.is_some_and(|at| at.elapsed() < FOUND_FOR) {
        return Ok(());
    }
    let tenant = app.config.tenants.first().and_then(|name| name.parse().ok());
    let tenant = tenant.filter(|_| !app.authenticator.is_open());
    if tenant.is_none() && !app.authenticator.is_open() {
        // It serves nobody yet.
        return Ok(());
    }
    // One that cannot be made is told to its callers.
    let Ok(server) = app.tenants.server(tenant.as_ref()) else { return Ok(()) };
    server.sessions().inspect_codex().await?;
    *found = Some(Instant::now());
    Ok(())
}
