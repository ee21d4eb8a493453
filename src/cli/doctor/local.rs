//! Checks of this machine: the configuration, the store, hosts, tenants, Codex and its login, and one real turn.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::checks::Checks;
#[cfg(unix)]
use crate::serve::host::{SilentHost, Survey};
use crate::{
    cli::{
        client::{Client, ToolOutput},
        error::CliError,
        terminal::Terminal,
    },
    codex::{Found, Login, Sandbox},
    config::{self, HostMode, Resolved, StoreKind},
    mcp::missing_in_words,
    serve::Streams,
    session::{SessionError, Sessions, store::Page},
};

/// The prompt of the live check.
const PROMPT: &str = "Reply with the single word: ready";

/// How long the live check may take.
const LIVE_SECONDS: u64 = 120;

impl Checks {
    pub(super) fn configuration(&mut self, resolved: &Resolved) {
        let chosen = resolved.origins.iter().filter(|(_, (_, place))| place != "default");
        let chosen: Vec<_> = chosen
            .map(|(key, (value, place))| {
                if config::setting(key).is_some_and(|it| it.is_secret) {
                    format!("{key} is set ({place})")
                } else {
                    format!("{key} = {value} ({place})")
                }
            })
            .collect();
        let detail = match chosen.as_slice() {
            [] => "all defaults".to_owned(),
            chosen => chosen.join("; "),
        };
        self.ok("configuration", detail);
    }

    pub(super) async fn store(&mut self, resolved: &Resolved, sessions: &Sessions) {
        let place = sessions.store_place();
        let page = Page::first(200);
        match sessions.list(&page).await {
            Err(error) => self.explained("store", &error),
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
    pub(super) fn hosts(&mut self, _resolved: &Resolved, _folders: &[PathBuf]) {
        self.ok("host", "this system has none: each client has a server of its own".to_owned());
    }

    #[cfg(unix)]
    pub(super) fn hosts(&mut self, resolved: &Resolved, folders: &[PathBuf]) {
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
    pub(super) async fn worktrees(&mut self, sessions: &Sessions) {
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

    /// Says what separates the tenants that are served over HTTP.
    pub(super) fn tenants(&mut self, resolved: &Resolved) {
        let tenants = &resolved.config.tenants;
        if tenants.is_empty() {
            return;
        }
        let shared: Vec<_> = tenants
            .iter()
            .filter(|(_, tenant)| tenant.launcher.is_empty())
            .map(|(name, _)| name.as_str())
            .collect();
        let apart = "each has sessions, a Codex, a login and limits of its own";
        let files = "what one's Codex runs cannot read another's files";
        if shared.is_empty() {
            return self.ok("tenants", format!("{apart}; started by launchers, so {files} if those are other users or containers"));
        }
        if tenants.len() == 1 {
            return self
                .ok("tenants", format!("{}, whose Codex runs as this user", shared.join(", ")));
        }
        self.warning(
            "tenants",
            format!(
                "{apart}; but what Codex runs for {} can read all that this user can, the others' files and logins too, and can put a link in \
                 place of a directory that a turn of the same tenant works in: the sandbox limits writing alone",
                shared.join(", ")
            ),
            format!("set `tenants.NAME.launcher` and `codex_home`, so that {files}"),
        );
    }

    pub(super) fn limits(&mut self, sessions: &Sessions) {
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
            Sandbox::as_str(limits.sandbox_ceiling),
            any(&roots),
            any(&limits.models),
            config.session.cap,
            config.session.ttl.0.as_secs() / 3600,
        ));
    }

    /// Checks Codex. Returns whether a turn can be tried.
    pub(super) async fn codex(&mut self, sessions: &Sessions) -> bool {
        if sessions.is_nested() {
            self.explained("nesting", &SessionError::Nested);
            return false;
        }
        match sessions.inspect_codex().await {
            Err(error) => {
                self.explained("codex", &error);
                return false;
            }
            Ok(found) => self.found(&found),
        }
        match sessions.login().await {
            Err(error) => {
                self.explained("login", &error);
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
                self.explained("model", &error);
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

    pub(super) async fn live(&mut self, streams: Streams) -> Result<(), CliError> {
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
}
