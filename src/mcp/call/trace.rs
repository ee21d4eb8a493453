//! The trace that a call is part of, if its client says so in `_meta` (W3C Trace Context, SEP-414).

use rmcp::model::RequestMetaObject;
use tracing::Span;

/// Makes the span of a call part of its client's trace.
#[cfg(feature = "otel")]
pub(in crate::mcp) fn join_trace(span: &Span, meta: &RequestMetaObject) {
    use std::collections::HashMap;

    use opentelemetry::propagation::TextMapPropagator;
    use opentelemetry_sdk::propagation::TraceContextPropagator;
    use tracing_opentelemetry::OpenTelemetrySpanExt;

    let field = |name: &str| Some((name.to_owned(), meta.get(name)?.as_str()?.to_owned()));
    let told: HashMap<_, _> = ["traceparent", "tracestate"].into_iter().filter_map(field).collect();
    if told.is_empty() {
        return;
    }
    // What is malformed, or sent to nobody, is none.
    let _ = span.set_parent(TraceContextPropagator::new().extract(&told));
}

/// Does nothing, because this program was built without traces.
#[cfg(not(feature = "otel"))]
pub(in crate::mcp) fn join_trace(_span: &Span, _meta: &RequestMetaObject) {}
