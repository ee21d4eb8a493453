//! What was found, check by check, and how it is printed.

use std::{
    fmt,
    io::{self, Write},
};

use serde::Serialize;
use serde_json::{Value, json};
use serde_with::skip_serializing_none;

use crate::{mcp::explain, session::SessionError};

/// What was found.
#[derive(Debug, Default, Serialize)]
pub(super) struct Checks {
    checks: Vec<Check>,
}

#[skip_serializing_none]
#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    status: Status,
    detail: String,
    fix: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    Ok,
    Warning,
    #[serde(rename = "trouble")]
    Failed,
}

impl Checks {
    pub(super) fn ok(&mut self, name: &'static str, detail: String) {
        self.checks.push(Check { name, status: Status::Ok, detail, fix: None });
    }

    pub(super) fn warning(&mut self, name: &'static str, detail: String, fix: String) {
        self.checks.push(Check { name, status: Status::Warning, detail, fix: Some(fix) });
    }

    pub(super) fn failed(&mut self, name: &'static str, detail: String, fix: String) {
        self.checks.push(Check { name, status: Status::Failed, detail, fix: Some(fix) });
    }

    pub(super) fn explained(&mut self, name: &'static str, error: &SessionError) {
        let explained = explain(error);
        self.failed(name, explained.message, explained.next);
    }

    pub(super) fn worst(&self) -> Status {
        self.checks.iter().map(|check| check.status).max().unwrap_or(Status::Ok)
    }

    pub(super) fn as_json(&self) -> Value {
        let ok = self.worst() != Status::Failed;
        json!({"ok": ok, "version": env!("CARGO_PKG_VERSION"), "checks": self.checks})
    }

    pub(super) fn print(&self, mut out: impl Write) -> io::Result<()> {
        for Check { name, status, detail, fix } in &self.checks {
            writeln!(out, "{status} {name:<14} {detail}")?;
            if let Some(fix) = fix {
                writeln!(out, "  {:<14} → {fix}", "")?;
            }
        }
        let words = match self.worst() {
            Status::Ok => "All is well.",
            Status::Warning => "It works; see the warnings.",
            Status::Failed => "It will not work as it is; see the fixes.",
        };
        writeln!(out, "{words}")
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "✓",
            Self::Warning => "!",
            Self::Failed => "✗",
        })
    }
}
