//! The bridge as a program of its own: what many windows cost is its size. `codex-mcp-server` starts it, if it is there. It
//! is also what a Codex is started through, for the same reason.

use std::{ffi::OsString, process::ExitCode};

fn main() -> ExitCode {
    #[cfg(unix)]
    {
        use std::io::Write;

        let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
        #[cfg(target_os = "linux")]
        if let Some((word, words)) = arguments.split_first()
            && word == codex_mcp_server::Role::Reaper.word()
        {
            return codex_mcp_server::reap(words).unwrap_or_else(|error| {
                // It is the last that Codex's errors have.
                let _ = writeln!(std::io::stderr(), "error: cannot start Codex: {error}");
                ExitCode::FAILURE
            });
        }
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
