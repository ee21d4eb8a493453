//! An MCP server over the OpenAI Codex CLI, with named conversations that continue.
//!
//! A hall with two doors: clients come in by [`mcp`] (served by [`serve`]), Codex is driven through
//! [`codex`], and nothing walks from door to door without crossing [`session`]. `ARCHITECTURE.md` has
//! the whole picture.

pub mod cli;
pub mod codex;
pub mod config;
pub mod mcp;
pub mod serve;
pub mod session;
pub mod telemetry;

mod app;

pub use app::{Environment, ServerError, check_tools, serve_here, serve_stdio};
