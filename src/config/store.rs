//! `[store]`: where sessions are kept, and their histories.

use std::{collections::BTreeMap, path::PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;
use smart_default::SmartDefault;

/// Where sessions are kept.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, SmartDefault)]
#[serde(deny_unknown_fields, default)]
pub struct Store {
    /// `sqlite`; `postgres`, for servers on several machines; or `memory` to forget everything at the end.
    pub kind: StoreKind,
    /// The SQLite file; under the platform's state directory if empty.
    #[schemars(extend("format" = "path"))]
    pub path: Option<PathBuf>,
    /// The PostgreSQL database, such as `postgres://user@host/database`. It is a secret.
    #[schemars(extend("writeOnly" = true))]
    pub url: Option<DatabaseUrl>,
    /// Another way to the same database, for notifications, where `store.url` goes through a pooler that gives each
    /// transaction another connection. It is a secret.
    #[schemars(extend("writeOnly" = true))]
    pub listen_url: Option<DatabaseUrl>,
    /// What this machine is called where it is told from others; its host name if not set.
    pub machine: Option<String>,
    /// Whether the histories of Codex's threads are kept in the store, so that Codex continues them on another machine or
    /// after its folder was lost: yes with `postgres` and no with others, if not set.
    pub keep_rollouts: Option<bool>,
    /// The longest history that is kept for a session, in bytes.
    #[default = 67_108_864]
    pub rollout_bytes: u64,
    /// A file with a secret of 32 bytes or more, the same on all machines, which encrypts those histories.
    #[schemars(extend("format" = "path"))]
    pub rollout_key: Option<PathBuf>,
    /// Where directories of other machines are on this one, such as `{ "/home/me" = "/srv/me" }`: for sessions whose
    /// directory is not here.
    #[schemars(extend("format" = "path"))]
    pub path_map: BTreeMap<PathBuf, PathBuf>,
}

/// Where a database is, and how to log in to it: a secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    /// The secret.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DatabaseUrl(…)")
    }
}

/// The kinds of store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum StoreKind {
    /// A file, shared by all servers of this user.
    #[default]
    Sqlite,
    /// A PostgreSQL database, shared by any number of servers.
    Postgres,
    /// Gone with the server.
    Memory,
}
