//! Every setting, its type and its default.

use std::{collections::BTreeMap, path::PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;
use smart_default::SmartDefault;

use super::{HttpSettings, Store, TenantSettings};
use crate::session::{Defaults, Limits, SessionSettings, Span, TurnSettings};

/// All settings.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The tools to offer, by name; all if empty.
    pub tools: Vec<String>,
    /// Whose clients to be a drop-in for besides those of the npm package: `vendor` for Codex's own
    /// removed `codex mcp-server`.
    pub compat: Option<Compat>,
    /// How Codex is found and kept.
    pub codex: CodexSettings,
    /// What holds where neither a call nor its session says.
    pub defaults: Defaults,
    /// How long sessions live and how they go on.
    pub session: SessionSettings,
    /// How long turns may take, and the calls that wait for them.
    pub turn: TurnSettings,
    /// The process that serves all clients of this user.
    pub host: HostSettings,
    /// Telling somebody who is not there.
    pub notify: NotifySettings,
    /// Where sessions are kept.
    pub store: Store,
    /// What no call can exceed.
    pub limits: Limits,
    /// How results are sent.
    pub results: Results,
    /// Serving over HTTP.
    pub http: HttpSettings,
    /// Who is served over HTTP, by name.
    pub tenants: BTreeMap<String, TenantSettings>,
    /// What is logged, to stderr.
    pub log: Log,
}

/// How Codex is found and kept.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, SmartDefault)]
#[serde(deny_unknown_fields, default)]
pub struct CodexSettings {
    /// The Codex binary; found by itself if empty.
    #[schemars(extend("format" = "program"))]
    pub bin: Option<PathBuf>,
    /// How long Codex keeps running with nothing to do.
    #[default(Span::minutes(5))]
    #[schemars(extend("x-minimum" = "1s"))]
    pub idle: Span,
    /// How long a thread stays loaded after its turn; as long, other programs cannot resume it.
    #[default(Span::seconds(2))]
    pub release_after: Span,
    /// How long Codex may take to answer a request that is not a turn.
    #[default(Span::minutes(1))]
    #[schemars(extend("x-minimum" = "1s"))]
    pub timeout: Span,
    /// How many Codex processes may run at once, over HTTP where each tenant has one; any number if not set. One that
    /// does nothing gives its place to one that is needed.
    #[schemars(range(min = 1))]
    pub processes: Option<usize>,
    /// The names of Codex's own MCP servers it may use here; none if the list is empty, all if it is not
    /// set.
    pub mcp_servers: Option<Vec<String>>,
}

/// Whose clients to be a drop-in for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Compat {
    /// Those of `codex mcp-server`, which Codex had up to 0.153.
    Vendor,
}

/// The process that serves all clients of this user.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, SmartDefault)]
#[serde(deny_unknown_fields, default)]
pub struct HostSettings {
    /// `auto`: clients share one host, in which turns outlive the window they were begun in; `off`: each client has a
    /// server of its own.
    pub mode: HostMode,
    /// How long the host stays when no client is left and no turn runs.
    #[default(Span::seconds(5))]
    pub linger: Span,
}

/// Whether clients share a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum HostMode {
    /// Where the system can do it.
    #[default]
    Auto,
    /// Never.
    Off,
}

/// Telling somebody who is not there.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NotifySettings {
    /// A shell command that is run when a detached turn ends or asks, with a JSON object on its input.
    pub command: Option<String>,
}

/// How results are sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, SmartDefault)]
#[serde(deny_unknown_fields, default)]
pub struct Results {
    /// Whether results have a structured form besides their text, and tools a schema for it.
    #[default = true]
    pub structured: bool,
}

/// What is logged, to stderr.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, SmartDefault)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// `error`, `warn`, `info`, `debug` or `trace`, or directives like `codex_mcp_server::session=debug`.
    #[default = "info"]
    pub level: String,
    /// `text` or `json`.
    pub format: LogFormat,
    /// Where to send traces of calls and turns by OTLP, such as `http://localhost:4318/v1/traces`; nowhere if not set.
    pub traces: Option<String>,
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

impl Config {
    /// Makes these settings a tenant's: what it has of its own stands in place of the operator's.
    pub fn narrow(&mut self, tenant: &TenantSettings) {
        let own = tenant.clone();
        let limits = &mut self.limits;
        limits.roots = own.roots;
        // What the operator allows himself there may be another tenant's.
        limits.writable_roots = Vec::new();
        limits.sandbox_ceiling = own.sandbox_ceiling.unwrap_or(limits.sandbox_ceiling);
        limits.models = own.models.unwrap_or_else(|| std::mem::take(&mut limits.models));
        limits.config_keys =
            own.config_keys.unwrap_or_else(|| std::mem::take(&mut limits.config_keys));
        limits.running_turns = own.running_turns.or(limits.running_turns);
        limits.queued_calls = own.queued_calls.or(limits.queued_calls);
        limits.turns_per_day = own.turns_per_day.or(limits.turns_per_day);
        limits.tokens_per_day = own.tokens_per_day.or(limits.tokens_per_day);
        self.session.cap = own.session_cap.unwrap_or(self.session.cap);
        self.codex.bin = own.codex_bin.or_else(|| self.codex.bin.take());
        self.defaults.working_directory = None;
    }

    /// What is not kept apart between tenants, if there are several and not each has a launcher.
    pub fn unseparated_tenants(&self) -> Option<String> {
        let shared = self.tenants.iter().filter(|(_, tenant)| tenant.launcher.is_empty());
        let shared: Vec<_> = shared.map(|(name, _)| name.as_str()).collect();
        (self.tenants.len() > 1 && !shared.is_empty()).then(|| {
            format!(
                "tenants without a launcher: {}. Sessions, logins, limits and Codex are separate for each tenant; files are \
                 not. Commands of these tenants run as this user: they can read all that this user can, and one can put a link in place \
                 of a directory in which another turn of the same tenant runs. Only tenants.NAME.launcher keeps tenants apart",
                shared.join(", ")
            )
        })
    }
}
