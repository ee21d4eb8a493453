//! The bridge as a program of its own: what many windows cost is its size. `codex-mcp-server` starts it, if it is there.

use std::{ffi::OsString, process::ExitCode};

fn main() -> ExitCode {
    #[cfg(unix)]
    {
        use std::io::Write;

        let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
        let Err(error) = codex_mcp_server::serve_bridge(&arguments) else {
            return ExitCode::SUCCESS;
        };
        let mut reason: &dyn std::error::Error = &error;
        let mut text = reason.to_string();
        while let Some(source) = reason.source() {
            text = format!("{text}: {source}");
            reason = source;
        }
        // If that cannot be written, the exit code says that something went wrong.
        let _ = writeln!(std::io::stderr(), "codex-mcp-bridge: {text}");
    }
    ExitCode::FAILURE
}
