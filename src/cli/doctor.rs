//! `doctor`: checks everything a turn needs and says how to fix each problem.

use std::{
    fmt,
    io::{self, Write},
    path::PathBuf,
};

use super::{
    client::{Client, ToolOutput},
    error::CliError,
    run::{Exit, written},
    terminal::Terminal,
};
#[cfg(unix)]
use crate::serve::host::{SilentHost, Survey};
use crate::{
    codex::{Found, Login, Sandbox},
    config::{HostMode, Resolved, StoreKind},
    mcp::{explain, missing_in_words},
    serve::Streams,
    session::{SessionError, Sessions, store::Page},
};
use serde::Serialize;
use serde_json::{Value, json};
use serde_with::skip_serializing_none;

/// The prompt of the live check.
const PROMPT: &str = "Reply with the single word: ready";

/// How long the live check may take.
const LIVE_SECONDS: u64 = 120;

/// The flags of `doctor`.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct DoctorArgs {
    /// Also run one real turn, which costs a few tokens
    #[arg(long)]
    live: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What was found.
#[derive(Debug, Default, Serialize)]
struct Checks {
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
enum Status {
    Ok,
    Warning,
    #[serde(rename = "trouble")]
    Failed,
}

impl DoctorArgs {
    /// Runs all checks and prints the results.
    ///
    /// # Errors
    /// [`CliError::Client`], [`CliError::Output`].
    pub async fn run(
        self,
        resolved: &Resolved,
        sessions: &Sessions,
        streams: Streams,
        host_folders: &[PathBuf],
    ) -> Result<Exit, CliError> {
        let mut checks = Checks::default();
        checks.configuration(resolved);
        checks.store(resolved, sessions).await;
        checks.worktrees(sessions).await;
        checks.limits(sessions);
        checks.hosts(resolved, host_folders);
        let can_work = checks.codex(sessions).await;
        if self.live {
            if can_work {
                checks.live(streams).await?;
            } else {
                let fix = "mend what is wrong above first".to_owned();
                checks.failed("turn", "not tried".to_owned(), fix);
            }
        }
        let out = super::screen::stdout();
        let printed =
            if self.json { super::print::json(&checks.as_json(), out) } else { checks.print(out) };
        written(printed, "what was found")?;
        Ok(if checks.worst() == Status::Failed { Exit::Failed } else { Exit::Done })
    }
}

impl Checks {
    fn configuration(&mut self, resolved: &Resolved) {
        let chosen = resolved.origins.iter().filter(|(_, (_, place))| place != "default");
        let chosen: Vec<_> =
            chosen.map(|(key, (value, place))| format!("{key} = {value} ({place})")).collect();
        let detail = match chosen.as_slice() {
            [] => "all defaults".to_owned(),
            chosen => chosen.join("; "),
        };
        self.ok("configuration", detail);
    }

    async fn store(&mut self, resolved: &Resolved, sessions: &Sessions) {
        let place = sessions.store_place();
        let page = Page::first(200);
        match sessions.list(&page).await {
            Err(error) => self.explained("store", error),
            Ok(listing) if !listing.damaged.is_empty() => self.warning(
                "store",
                format!("{place}: damaged records: {}", listing.damaged.join(", ")),
                "`codex-mcp-server sessions delete NAME` removes them; the others work".to_owned(),
            ),
            Ok(_) if resolved.config.store.kind == StoreKind::Memory => self.warning(
                "store",
                "in memory: sessions end with each server".to_owned(),
                "leave `store.kind` out to keep them in a file".to_owned(),
            ),
            Ok(listing) => {
                let more = if listing.next.is_some() { " or more" } else { "" };
                self.ok("store", format!("{place}: {} sessions{more}", listing.sessions.len()));
            }
        }
    }

    #[cfg(not(unix))]
    fn hosts(&mut self, _resolved: &Resolved, _folders: &[PathBuf]) {
        self.ok("host", "this system has none: each client has a server of its own".to_owned());
    }

    #[cfg(unix)]
    fn hosts(&mut self, resolved: &Resolved, folders: &[PathBuf]) {
        let Survey { hosts, silent } = crate::serve::host::survey(folders);
        if let Some(SilentHost { pid, socket }) = silent.first() {
            let which =
                pid.map_or_else(|| socket.display().to_string(), |pid| format!("process {pid}"));
            let fix = "end it; clients have servers of their own meanwhile".to_owned();
            return self.warning("host", format!("{which} does not answer"), fix);
        }
        let running: Vec<_> = hosts
            .iter()
            .map(|host| format!("process {}, which logs to {}", host.pid, host.log.display()))
            .collect();
        let own = "each client has a server of its own, which logs to its stderr";
        self.ok(
            "host",
            match (resolved.config.host.mode, resolved.config.store.kind) {
                (HostMode::Off, _) => format!("off: {own}"),
                (_, StoreKind::Memory) => format!("none with sessions in memory: {own}"),
                _ if running.is_empty() => "none runs; the first client starts one".to_owned(),
                _ => running.join("; "),
            },
        );
    }

    /// Names worktrees that no session has any more. Nothing is said if there are none at all.
    async fn worktrees(&mut self, sessions: &Sessions) {
        // The check of the store says what is wrong with that.
        let all = sessions.worktrees().await.unwrap_or_default();
        let left: Vec<_> = all
            .iter()
            .filter(|listed| listed.is_left_over)
            .map(|listed| listed.worktree.path.display().to_string())
            .collect();
        match (all.len(), left.as_slice()) {
            (0, _) => {}
            (count, []) => self.ok("worktrees", format!("{count}, each of a session")),
            (count, left) => self.warning(
                "worktrees",
                format!("{} of {count} belong to no session: {}", left.len(), left.join(", ")),
                "they are removed by themselves, and what is nowhere else is kept on their branches; or use \
                 `git worktree remove`"
                    .to_owned(),
            ),
        }
    }

    fn limits(&mut self, sessions: &Sessions) {
        let config = sessions.config();
        let limits = &config.limits;
        let missing = limits.roots.iter().find(|root| !root.is_dir());
        if let Some(root) = missing {
            let detail = format!("the allowed directory {} does not exist", root.display());
            return self.warning("limits", detail, "make it, or change `limits.roots`".to_owned());
        }
        let any =
            |names: &[String]| if names.is_empty() { "any".to_owned() } else { names.join(", ") };
        let roots: Vec<_> = limits.roots.iter().map(|root| root.display().to_string()).collect();
        self.ok("limits", format!(
            "sandbox up to {}; directories: {}; models: {}; {} sessions, each for {} h after its last use",
            Sandbox::as_str(limits.ceiling()),
            any(&roots),
            any(&limits.models),
            config.cap,
            config.ttl.as_secs() / 3600,
        ));
    }

    /// Checks Codex. Returns whether a turn can be tried.
    async fn codex(&mut self, sessions: &Sessions) -> bool {
        if sessions.is_nested() {
            self.explained("nesting", SessionError::Nested);
            return false;
        }
        match sessions.inspect_codex().await {
            Err(error) => {
                self.explained("codex", error);
                return false;
            }
            Ok(found) => self.found(&found),
        }
        match sessions.login().await {
            Err(error) => {
                self.explained("login", error);
                return false;
            }
            Ok(Login::Missing) => {
                self.failed("login", "nobody is logged in".to_owned(), "codex login".to_owned());
                return false;
            }
            Ok(Login::As(how)) => self.ok("login", format!("by {how}")),
            Ok(Login::NotNeeded) => {
                self.ok("login", "the configured provider needs none".to_owned());
            }
            Ok(Login::Unknown) => self.warning(
                "login",
                "this Codex cannot be asked".to_owned(),
                "`codex login status` tells".to_owned(),
            ),
        }
        match sessions.default_model().await {
            Err(error) => {
                self.explained("model", error);
                return false;
            }
            Ok((model, source)) => {
                let model = model.unwrap_or_else(|| "Codex's own choice".to_owned());
                self.ok("model", format!("{model} ({})", source.as_str()));
            }
        }
        true
    }

    fn found(&mut self, found: &Found) {
        let mut detail = format!(
            "{} at {} ({}), driven by {}",
            found.version,
            found.binary.display(),
            found.reason,
            found.engine()
        );
        if !found.others.is_empty() {
            let others: Vec<_> =
                found.others.iter().map(|path| path.display().to_string()).collect();
            detail += &format!("; not taken: {}", others.join(", "));
        }
        let lacks = missing_in_words(&found.version.lacks());
        if lacks.is_empty() {
            return self.ok("codex", detail);
        }
        let detail = format!("{detail}; it lacks: {}", lacks.join("; "));
        self.warning("codex", detail, "npm install -g @openai/codex".to_owned());
    }

    async fn live(&mut self, streams: Streams) -> Result<(), CliError> {
        let mut client = Client::begin(streams, false).await?;
        let mut terminal = Terminal::new();
        let turn =
            json!({"prompt": PROMPT, "sandbox": "read-only", "timeoutSeconds": LIVE_SECONDS});
        let mut turn = turn.as_object().cloned().unwrap_or_default();
        turn.insert("ephemeral".to_owned(), true.into());
        let mut output = client.call("codex", turn.clone(), &mut terminal).await?;
        if output.field("code") == Some("not_supported") {
            // An old Codex keeps a record of everything; ours goes.
            turn.remove("ephemeral");
            output = client.call("codex", turn, &mut terminal).await?;
            if let Some(session) = output.structured.get("sessionId").cloned() {
                let session = serde_json::Map::from_iter([("sessionId".to_owned(), session)]);
                client.call("deleteSession", session, &mut terminal).await?;
            }
        }
        terminal.finish();
        self.turn(&output);
        Ok(())
    }

    fn turn(&mut self, output: &ToolOutput) {
        let text = |key: &str| output.field(key).unwrap_or_default().to_owned();
        if output.is_error {
            return self.failed("turn", text("message"), text("next"));
        }
        let number =
            |path: &str| output.structured.get(path).and_then(Value::as_f64).unwrap_or_default();
        let (model, seconds) = (text("model"), number("durationMs") / 1000.0);
        self.ok(
            "turn",
            format!("{model} answered `{}` in {seconds:.1} s", text("response").trim()),
        );
    }

    fn ok(&mut self, name: &'static str, detail: String) {
        self.checks.push(Check { name, status: Status::Ok, detail, fix: None });
    }

    fn warning(&mut self, name: &'static str, detail: String, fix: String) {
        self.checks.push(Check { name, status: Status::Warning, detail, fix: Some(fix) });
    }

    fn failed(&mut self, name: &'static str, detail: String, fix: String) {
        self.checks.push(Check { name, status: Status::Failed, detail, fix: Some(fix) });
    }

    fn explained(&mut self, name: &'static str, error: SessionError) {
        let explained = explain(error);
        self.failed(name, explained.message, explained.next);
    }

    fn worst(&self) -> Status {
        self.checks.iter().map(|check| check.status).max().unwrap_or(Status::Ok)
    }

    fn as_json(&self) -> Value {
        let ok = self.worst() != Status::Failed;
        json!({"ok": ok, "version": env!("CARGO_PKG_VERSION"), "checks": self.checks})
    }

    fn print(&self, mut out: impl Write) -> io::Result<()> {
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
