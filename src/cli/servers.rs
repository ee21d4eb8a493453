//! `servers`: who serves the sessions of a database, and what runs where.

use std::{
    io::{self, Write},
    time::Duration,
};

use serde_json::{Value, json};

use super::{
    error::CliError,
    print,
    run::{Exit, written},
    screen::{stderr, stdout},
};
use crate::{
    mcp::{explain, visible_line},
    session::{SeenServer, ServerTurn, Servers},
};

/// Lists servers.
#[derive(Debug, Clone, clap::Args)]
pub struct ServersArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl ServersArgs {
    /// Lists them.
    ///
    /// # Errors
    /// [`CliError`].
    pub async fn run(&self, servers: &Servers) -> Result<Exit, CliError> {
        let seen = match servers.list().await {
            Ok(seen) => seen,
            Err(error) => {
                let error = explain(&error);
                let said = writeln!(stderr(), "codex-mcp-server: {} {}", error.message, error.next);
                written(said, "the answer")?;
                return Ok(Exit::Failed);
            }
        };
        let printed = if self.json {
            print::json(&json!({"servers": seen.iter().map(as_json).collect::<Vec<_>>()}), stdout())
        } else {
            list(&seen, stdout())
        };
        written(printed, "the servers")?;
        Ok(if seen.iter().any(|seen| seen.silent) { Exit::Failed } else { Exit::Done })
    }
}

fn as_json(seen: &SeenServer) -> Value {
    let mut server = json!(seen.server);
    if let Some(server) = server.as_object_mut() {
        server.insert("state".to_owned(), json!(state(seen)));
        server.insert("seenSecondsAgo".to_owned(), json!(seen.ago.as_secs()));
    }
    server
}

fn state(seen: &SeenServer) -> &'static str {
    match (seen.silent, seen.server.draining, &seen.server.problem) {
        (true, ..) => "silent",
        (false, true, _) => "draining",
        (false, false, Some(_)) => "without Codex",
        (false, false, None) => "serving",
    }
}

fn list(seen: &[SeenServer], mut out: impl Write) -> io::Result<()> {
    if seen.is_empty() {
        return writeln!(out, "No server is there.");
    }
    for seen in seen {
        let server = &seen.server;
        let codex = server.codex.as_deref().unwrap_or("-");
        let place = server.url.as_deref().unwrap_or(&server.kind);
        let facts = format!(
            "{}  process {}, version {}, Codex {codex}, {place}, since {:.0}",
            server.machine, server.process, server.version, server.started_at,
        );
        writeln!(out, "{}", visible_line(&facts))?;
        writeln!(out, "  {}, seen {} ago", state(seen), age(seen.ago))?;
        if let Some(problem) = &server.problem {
            writeln!(out, "  {}", visible_line(problem))?;
        }
        for ServerTurn { tenant, session, number } in &server.turns {
            let whose = if tenant.is_empty() { String::new() } else { format!("{tenant}/") };
            let what = match (number, seen.silent) {
                (Some(number), false) => format!("turn {number} runs"),
                (Some(number), true) => format!("turn {number} ran; whoever comes takes it over"),
                (None, _) => "a call waits".to_owned(),
            };
            writeln!(out, "  {}", visible_line(&format!("{whose}{session}: {what}")))?;
        }
    }
    Ok(())
}

fn age(ago: Duration) -> String {
    match ago.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3600),
    }
}
