//! Why the server cannot run.

use std::{net::SocketAddr, path::PathBuf};

use crate::{
    mcp::tool_names,
    serve::{self, ServeError},
};

/// Why the server cannot run.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// A Codex that this program runs has started it.
    #[error("{}", serve::in_one_line(&crate::session::SessionError::Nested))]
    Nested,
    /// A path among the settings cannot be passed on.
    #[error(transparent)]
    Config(#[from] crate::config::ConfigError),
    /// The page cannot be reached.
    #[error("the page cannot listen on loopback")]
    Page(#[source] std::io::Error),
    /// Nobody shows the page.
    #[cfg(unix)]
    #[error("there is no page")]
    NoPage(#[source] crate::serve::page::PageRefused),
    /// Servers are listed where they share a database.
    #[error(
        "servers are known to each other where they share a PostgreSQL database (`store.url`); the store here is {store}, \
         and `codex-mcp-server host status` shows who serves this machine's clients"
    )]
    NotShared {
        /// The store.
        store: String,
    },
    /// The operator chose a tool that does not exist.
    #[error("{files}: there is no tool `{name}`; there are: {}", tool_names().join(", "))]
    UnknownTool {
        /// Where it was chosen: a file, a variable, a flag.
        files: String,
        /// The name.
        name: String,
    },
    /// Nobody knows where the database is.
    #[error("`store.kind` is `postgres`: set `store.url`, such as postgres://user@host/database")]
    NoDatabase,
    /// The database's URL is none.
    #[error(transparent)]
    Database(#[from] crate::session::store::InvalidUrl),
    /// The key that encrypts histories is none.
    #[error("`store.rollout_key` names no key")]
    RolloutKey(#[from] crate::session::KeyError),
    /// The system has no folder for the store.
    #[error("no folder to keep sessions in: set `store.path`, or `--store memory`")]
    NoStateFolder,
    /// Serving failed.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// It cannot be served over HTTP as the operator wants it.
    #[error(transparent)]
    HttpRefused(#[from] HttpRefused),
    /// Nothing can be measured.
    #[error(transparent)]
    Metrics(#[from] crate::telemetry::MetricsError),
    /// Serving over HTTP failed.
    #[error(transparent)]
    Http(#[from] serve::http::HttpError),
    /// Serving many clients failed.
    #[cfg(unix)]
    #[error(transparent)]
    Host(#[from] serve::host::HostError),
}

/// Why it cannot be served over HTTP as the operator wants it.
#[derive(Debug, thiserror::Error)]
pub enum HttpRefused {
    /// That is no address.
    #[error("`http.address` is no address with a port: `{0}`")]
    Address(String),
    /// That is no address either.
    #[error("`http.metrics` is no address with a port: `{0}`")]
    MetricsAddress(String),
    /// The path is none.
    #[error(
        "`http.path` must be names between slashes, such as `/mcp`, and not a path of the server's own: `{0}`"
    )]
    Path(String),
    /// Everybody could call.
    #[error(
        "without authentication it must be a loopback address, not {0}: leave `--no-auth` out, or use 127.0.0.1"
    )]
    Open(SocketAddr),
    /// Nobody knows what the server may be called.
    #[error("at {0} the server has no name of its own: set `http.hosts` to what clients call it")]
    NoHost(SocketAddr),
    /// Where the server can be reached is no URL.
    #[error("`http.base_url` must be a URL without a path, such as https://codex.example: `{0}`")]
    BaseUrl(String),
    /// Nobody could find out where tokens come from.
    #[error("at {0} the server has no URL of its own: set `http.base_url` to what clients call it")]
    NoUrl(SocketAddr),
    /// A certificate without a key, or the other way round.
    #[error("TLS needs both `http.tls_certificate` and `http.tls_key`")]
    HalfTls,
    /// Anybody on the way could forge tokens.
    #[error("the identity provider's keys must come by https, not from {0}")]
    OpenKeys(String),
    /// Nobody's tokens.
    #[error("`http.jwt.tenant` names no tenant of this configuration: `{0}`")]
    NoTenant(String),
    /// Calls could read everything.
    #[error("over HTTP the directories must be limited: set `{0}`")]
    NoRoots(String),
    /// Its Codex could keep nothing.
    #[error(
        "tenant `{0}` has a `launcher`, so its Codex needs a folder of its own: set `tenants.{0}.codex_home`"
    )]
    NoHome(String),
    /// A tenant's name is none.
    #[error(transparent)]
    Tenant(#[from] crate::session::InvalidTenant),
    /// There is nothing to keep tokens in.
    #[error("tokens need a store that lasts, and `store.kind` is `memory`")]
    NoTokens,
    /// The folder for a tenant cannot be made.
    #[error("cannot make {}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
}
