//! Logging: to stderr, because stdout belongs to the protocol; in a host, which has no stderr, to a file. And what is
//! measured, for servers whose operator asks ([`Metrics`]).

mod lines;
mod log_file;
mod metrics;
#[cfg(feature = "otel")]
mod traces;

pub use self::metrics::{Metrics, MetricsError};

use std::{io, path::Path};

use tracing_subscriber::{
    EnvFilter, Layer, Registry, filter::ParseError, fmt::MakeWriter, layer::SubscriberExt,
    util::SubscriberInitExt,
};

use self::log_file::LogFile;

use crate::config::{Log, LogFormat};

/// Why logging cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The level is not one.
    #[error(transparent)]
    Level(#[from] ParseError),
    /// The file cannot be written.
    #[error("cannot write the log file")]
    File(#[from] io::Error),
    /// Traces cannot be sent there.
    #[cfg(feature = "otel")]
    #[error("log.traces: {0}")]
    Traces(#[from] opentelemetry_otlp::ExporterBuildError),
    /// This program cannot send traces.
    #[cfg(not(feature = "otel"))]
    #[error("log.traces: this program was built without the feature `otel`")]
    NoTraces,
}

/// What is told on the way: dropped last, so that what is left is sent.
#[derive(Debug)]
pub struct Telemetry {
    #[cfg(feature = "otel")]
    _traces: Option<traces::Traces>,
}

/// Where lines or spans go.
type Lines = Box<dyn Layer<Registry> + Send + Sync>;

/// Starts logging to stderr for the rest of the process.
///
/// The SDK's own logging is off: it reports a client that went away as an error.
///
/// # Errors
/// [`LogError`].
pub fn start(log: &Log) -> Result<Telemetry, LogError> {
    let ansi = io::IsTerminal::is_terminal(&io::stderr());
    start_with(log, io::stderr, ansi)
}

/// Starts logging to a file for the rest of the process, and makes it standard error. The file does not grow without
/// bound; files beside it that nobody has written to for a week are removed.
///
/// # Errors
/// [`LogError`].
pub fn start_in(log: &Log, path: &Path) -> Result<Telemetry, LogError> {
    let file = LogFile::new(path)?;
    #[expect(
        clippy::disallowed_methods,
        reason = "the age of files is by the clock of the system"
    )]
    file.sweep(std::time::SystemTime::now());
    start_with(log, file, false)
}

fn start_with<W>(log: &Log, writer: W, ansi: bool) -> Result<Telemetry, LogError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = filter(&log.level)?;
    let lines = tracing_subscriber::fmt::layer();
    let lines: Lines = match log.format {
        LogFormat::Text => {
            let lines = lines.fmt_fields(lines::VisibleFields).with_ansi(ansi);
            Box::new(lines.with_target(false).with_writer(writer))
        }
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true).with_span_list(false);
            Box::new(lines.with_writer(lines::JsonLines(writer)))
        }
    };
    let lines: Lines = Box::new(lines.with_filter(filter));
    #[cfg(feature = "otel")]
    let (telemetry, layers) = match &log.traces {
        Some(endpoint) => {
            let (traces, spans) = traces::Traces::start(endpoint)?;
            (Telemetry { _traces: Some(traces) }, vec![lines, spans])
        }
        None => (Telemetry { _traces: None }, vec![lines]),
    };
    #[cfg(not(feature = "otel"))]
    let (telemetry, layers) = match &log.traces {
        Some(_) => return Err(LogError::NoTraces),
        None => (Telemetry {}, vec![lines]),
    };
    // A second start in one process keeps the first.
    let _ = tracing_subscriber::registry().with(layers).try_init();
    Ok(telemetry)
}

/// A single word is the level of this program. Libraries log warnings only.
fn filter(level: &str) -> Result<EnvFilter, ParseError> {
    if level.contains([',', '=']) {
        return EnvFilter::builder().parse(level);
    }
    EnvFilter::builder().parse(format!("warn,rmcp=off,sqlx=error,codex_mcp_server={level}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_directives_are_levels() {
        for level in ["info", "trace", "warn,codex_mcp_server::session=debug"] {
            assert!(filter(level).is_ok(), "{level}");
        }
        assert!(filter("loud").is_err());
    }
}
