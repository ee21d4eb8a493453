//! The end, in order: nothing new is taken, calls get some time, then their turns are interrupted and recorded.

use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::app::App;

/// How long the answers of interrupted calls may take to reach their clients.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

/// Ends everything. Once `at_once` is cancelled, Codex alone.
pub(super) async fn drain(app: &App, at_once: &CancellationToken) {
    app.draining.cancel();
    let servers: Vec<_> = app.tenants.all().into_iter().map(|(_, server)| server).collect();
    for server in &servers {
        server.drain();
    }
    let limit = app.config.settings.drain.0;
    let calm = async {
        let in_time = timeout(limit, app.calls.none()).await.is_ok();
        tracing::info!(in_time, "calls ended");
        let ends = servers.iter().map(|server| server.sessions().shutdown());
        futures_util::future::join_all(ends).await;
        let told = timeout(ANSWER_TIMEOUT, app.calls.none()).await;
        tracing::debug!(in_time = told.is_ok(), "interrupted calls were answered");
    };
    if at_once.run_until_cancelled(calm).await.is_none() {
        let ends = servers.iter().map(|server| server.sessions().shutdown_codex());
        let gone = timeout(ANSWER_TIMEOUT, futures_util::future::join_all(ends)).await;
        tracing::debug!(in_time = gone.is_ok(), "Codex ended");
    }
    app.cut.cancel();
}
