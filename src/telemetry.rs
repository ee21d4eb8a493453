//! Logging: to stderr, because stdout belongs to the protocol.

use tracing_subscriber::{EnvFilter, filter::ParseError};

use crate::config::{Log, LogFormat};

/// Starts logging for the rest of the process.
///
/// The SDK's own logging is off: it reports a client that went away as an error.
///
/// # Errors
/// If the level is not one.
pub fn start(log: &Log) -> Result<(), ParseError> {
    let filter = filter(&log.level)?;
    let logger = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second start in one process keeps the first.
    let started = match log.format {
        LogFormat::Text => {
            let ansi = std::io::IsTerminal::is_terminal(&std::io::stderr());
            logger.with_ansi(ansi).with_target(false).try_init()
        }
        LogFormat::Json => logger.json().flatten_event(true).with_span_list(false).try_init(),
    };
    drop(started);
    Ok(())
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
