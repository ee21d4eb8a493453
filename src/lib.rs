//! An MCP server over the OpenAI Codex CLI, with named conversations that continue.
//!
//! A core with adapters. The core is [`session`]. The adapter [`mcp`] speaks MCP and is reached through
//! [`serve`]; the adapter [`codex`] drives the CLI. Neither adapter knows the other. [`git`] looks at repositories for the
//! core. `ARCHITECTURE.md` has the whole picture.
//!
//! The modules are private, so that the compiler sees what is unused: the programs, and the benchmark of the store, take
//! what is named here.

mod app;
mod cli;
mod codex;
mod config;
mod git;
mod mcp;
mod serve;
mod session;
mod system;
mod telemetry;
mod web;

#[cfg(unix)]
pub use app::{
    BridgeFailure, NotShared, become_bridge, find_host, host_folders, serve_bridge, serve_host,
};
pub use app::{
    Environment, HttpRefused, PageUrl, ServerError, check_tools, serve_here, serve_http,
    serve_page, serve_stdio, serve_terminal, servers, tokens,
};
pub use cli::{
    Args, CliError, Command, ConfigCommand, Exit, Fixed, Shown, review_since, run_tool,
    show_completions, show_config, show_manual, show_schema, stderr, stdout, written,
};
pub use codex::Lineage;
#[cfg(target_os = "linux")]
pub use codex::reap;
pub use config::{Config, Flags, Resolved, Variables, resolve};
pub use serve::{Asks, Shutdown, Signals};
#[cfg(unix)]
pub use serve::{
    Role,
    host::{HostConfig, start_and_leave},
};
pub use telemetry::{start as start_telemetry, start_in as start_telemetry_in};

/// What the benchmark measures without a server around it.
pub mod store {
    pub use crate::session::{
        SessionName, SessionRecord,
        store::{Claim, Coordination, Page, PostgresPool, SessionStore, SqlStore, Turns},
    };
}
