//! Traces: the spans of calls and turns, sent to the operator's collector (OTLP over HTTP). Only names and ids are in them,
//! no prompt, answer or argument; what is logged in a span stays in the log.

use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{ExporterBuildError, Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use tracing_subscriber::{Layer, Registry, filter::filter_fn};

use super::Lines;

/// Sends spans until it is dropped; then what is left is sent.
#[derive(Debug)]
pub(super) struct Traces(SdkTracerProvider);

impl Traces {
    /// Begins to send spans to this URL, and the layer that they come through.
    pub(super) fn start(endpoint: &str) -> Result<(Self, Lines), ExporterBuildError> {
        // Somebody else may have been first with the same.
        let ring = tokio_rustls::rustls::crypto::ring::default_provider();
        let _ = ring.install_default();
        let exporter = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpJson)
            .with_endpoint(endpoint)
            .build()?;
        let about = Resource::builder().with_service_name(env!("CARGO_PKG_NAME")).build();
        let provider =
            SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(about).build();
        let spans = tracing_opentelemetry::layer::<Registry>()
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_tracer(provider.tracer(env!("CARGO_PKG_NAME")));
        let ours = filter_fn(|it| it.is_span() && it.target().starts_with("codex_mcp_server"));
        Ok((Self(provider), Box::new(spans.with_filter(ours))))
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        if let Err(error) = self.0.shutdown() {
            tracing::warn!(%error, "the last spans were not sent");
        }
    }
}
