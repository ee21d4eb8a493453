//! An MCP server over the OpenAI Codex CLI, with named conversations that continue.
//!
//! A core with adapters. The core is [`session`]. The adapter [`mcp`] speaks MCP and is reached through
//! [`serve`]; the adapter [`codex`] drives the CLI. Neither adapter knows the other. [`git`] looks at repositories for the
//! core. `ARCHITECTURE.md` has the whole picture.

pub mod cli;
pub mod codex;
pub mod config;
pub mod git;
pub mod mcp;
pub mod serve;
pub mod session;
pub mod system;
pub mod telemetry;
pub mod web;

mod app;

#[cfg(unix)]
pub use app::{
    BridgeFailure, NotShared, become_bridge, find_host, host_folders, serve_bridge, serve_host,
};
pub use app::{
    Environment, HttpRefused, PageUrl, ServerError, check_tools, serve_here, serve_http,
    serve_page, serve_stdio, serve_terminal, servers, tokens,
};
