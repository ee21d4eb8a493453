//! Metrics of the whole process, as Prometheus reads them.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram, gauge};
use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};
use sysinfo::{ProcessRefreshKind, ProcessesToUpdate, System};

/// Where the ranges of durations end, in seconds: from our own share of a turn to the longest turns.
const SECONDS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
    300.0, 1800.0,
];

/// Why there are no metrics.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// They cannot be kept.
    #[error("metrics cannot be kept")]
    Build(#[from] BuildError),
    /// Others are kept already.
    #[error("metrics are kept already")]
    Twice,
}

/// What was measured since the start. Clones share it.
#[derive(Debug, Clone)]
pub struct Metrics(PrometheusHandle);

impl Metrics {
    /// Begins to keep what is measured, for the rest of the process.
    ///
    /// # Errors
    /// [`MetricsError`].
    pub fn start() -> Result<Self, MetricsError> {
        let recorder = PrometheusBuilder::new().set_buckets(SECONDS)?.build_recorder();
        let handle = recorder.handle();
        metrics::set_global_recorder(recorder).map_err(|_| MetricsError::Twice)?;
        describe();
        Ok(Self(handle))
    }

    /// All of it, in Prometheus' text form.
    pub fn render(&self) -> String {
        if let Some(bytes) = own_memory() {
            #[expect(clippy::cast_precision_loss, reason = "nobody has that much memory")]
            gauge!("process_resident_memory_bytes").set(bytes as f64);
        }
        self.0.render()
    }

    /// Sums up what came since the last time. Memory grows where nobody does this.
    pub fn sum_up(&self) {
        self.0.run_upkeep();
    }
}

fn own_memory() -> Option<u64> {
    let own = sysinfo::get_current_pid().ok()?;
    let mut system = System::new();
    let memory = ProcessRefreshKind::nothing().with_memory();
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[own]), false, memory);
    system.process(own).map(sysinfo::Process::memory)
}

/// Says what each is.
fn describe() {
    describe_counter!("codex_mcp_turns_total", "Turns that ended, by tenant and status.");
    describe_histogram!(
        "codex_mcp_turn_seconds",
        Unit::Seconds,
        "How long turns took, from the moment their session was free."
    );
    describe_histogram!(
        "codex_mcp_turn_own_seconds",
        Unit::Seconds,
        "How much of that was spent without waiting for Codex."
    );
    describe_counter!(
        "codex_mcp_tokens_total",
        "Tokens that turns used, by tenant, model and kind."
    );
    describe_counter!(
        "codex_mcp_leases_lost_total",
        "Leases that ran out or were taken over while this server held them."
    );
    describe_counter!("codex_mcp_codex_starts_total", "Starts of Codex.");
    describe_counter!("codex_mcp_codex_deaths_total", "Codex processes that ended unexpectedly.");
    describe_counter!("codex_mcp_http_requests_total", "HTTP requests, by route and status.");
    describe_gauge!("codex_mcp_running_turns", "Turns that run on this server.");
    describe_gauge!(
        "codex_mcp_queued_calls",
        "Calls that wait for a turn of their session to end."
    );
    describe_gauge!("codex_mcp_sessions", "Sessions in the store.");
    describe_gauge!("codex_mcp_open_approvals", "Approvals that wait for an answer.");
    describe_gauge!("codex_mcp_http_calls", "HTTP requests under way.");
    describe_gauge!("codex_mcp_http_mcp_sessions", "MCP sessions of clients of the older era.");
    describe_gauge!("process_resident_memory_bytes", Unit::Bytes, "Memory of this process.");
}
