//! What the operator's monitoring reads.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{Extensions, HeaderMap, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use metrics::{counter, gauge};
use tokio::time::timeout;

use super::{app::App, auth::bearer};
use crate::mcp::{Scope, Tenant};

/// How long one tenant's store may take to be counted.
const COUNT_TIMEOUT: Duration = Duration::from_secs(2);

/// The form that Prometheus reads.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// For callers with the scope `admin`.
pub(super) async fn for_admins(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    extensions: Extensions,
) -> Response {
    match app.principal(bearer(&headers), &extensions).await {
        Ok(principal) if principal.scope >= Scope::Admin => for_all(State(app)).await,
        Ok(_) => app.challenge.insufficient(Scope::Admin),
        Err(refused) => app.challenge.answer(&refused),
    }
}

/// For whoever can connect.
pub(super) async fn for_all(State(app): State<Arc<App>>) -> Response {
    count(&app).await;
    ([(header::CONTENT_TYPE, TEXT)], app.metrics.render()).into_response()
}

/// Measures what is counted only when somebody asks.
#[expect(clippy::cast_precision_loss, reason = "there are never so many")]
async fn count(app: &App) {
    gauge!("codex_mcp_http_calls").set(app.calls.count() as f64);
    gauge!("codex_mcp_http_mcp_sessions").set(app.mcp_sessions.count() as f64);
    for (tenant, server) in app.tenants.all() {
        let tenant = tenant.as_ref().map(Tenant::as_str).unwrap_or_default().to_owned();
        let Ok(Ok(load)) = timeout(COUNT_TIMEOUT, server.sessions().load()).await else {
            tracing::warn!(tenant, "sessions cannot be counted");
            continue;
        };
        for (name, count) in [
            ("codex_mcp_running_turns", load.running as f64),
            ("codex_mcp_queued_calls", load.queued as f64),
            ("codex_mcp_sessions", load.sessions as f64),
            ("codex_mcp_open_approvals", load.approvals as f64),
        ] {
            gauge!(name, "tenant" => tenant.clone()).set(count);
        }
    }
}

/// Counts each request once it is answered. Paths that are none of ours count as one.
pub(super) async fn count_requests(
    path: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    let route = path.map_or_else(|| "other".to_owned(), |path| path.as_str().to_owned());
    let response = next.run(request).await;
    let status = response.status().as_str().to_owned();
    counter!("codex_mcp_http_requests_total", "route" => route, "status" => status).increment(1);
    response
}
