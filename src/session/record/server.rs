//! What a server says of itself to the others of its store.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::session::SessionName;

/// A server, by its own words. Fields that another version does not have are empty.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServerRecord {
    /// Its own: a server that is started again has another one.
    pub id: String,
    /// What its machine is called.
    pub machine: String,
    /// Which process it is there.
    pub process: u32,
    pub version: String,
    /// What it serves: `http`, a user's clients (`host`), or the one that started it (`stdio`).
    pub kind: String,
    /// Where its clients connect, if it is HTTP.
    pub url: Option<String>,
    /// When it was started, by its own clock.
    pub started_at: Timestamp,
    /// Whether it takes nothing new, because it is about to end.
    pub draining: bool,
    pub codex: Option<String>,
    /// Why it cannot have Codex work, if it cannot.
    pub problem: Option<String>,
    /// What runs or waits on it.
    pub turns: Vec<ServerTurn>,
}

/// A turn that runs or waits on a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerTurn {
    /// Whose session it is. Empty for the operator's own.
    #[serde(default)]
    pub tenant: String,
    pub session: SessionName,
    /// Its number. `None` if it has not begun.
    #[serde(default)]
    pub number: Option<u32>,
}

/// A server as the store has last heard of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenServer {
    /// What it said.
    pub server: ServerRecord,
    /// How long ago that was, by the store's clock.
    pub ago: Duration,
    /// Whether it should have said something since: it hangs, was killed, or cannot reach the store. Its turns are
    /// others' to take over.
    pub silent: bool,
}
