//! What the tests, the benchmarks and the demo share: a scriptable fake model, the real Codex CLI
//! by version, a hermetic home for both, and a small MCP client.
//!
//! Only the model is a stand-in. Codex, the server, the store and the protocol are the real ones,
//! and nothing here talks to anything but loopback and the npm registry.

pub mod agent;
pub mod ajv;
mod balancer;
pub mod browser;
mod certificates;
pub mod client;
pub mod codex_cli;
pub mod collector;
pub mod home;
#[cfg(unix)]
pub mod hostile;
pub mod http;
pub mod issuer;
pub mod model;
pub mod npm;
#[cfg(unix)]
mod pooler;
pub mod port;
#[cfg(unix)]
pub mod postgres;
pub mod process;
#[cfg(unix)]
pub mod program;
pub mod proxy;
pub mod python;
pub mod server;
pub mod wait;

pub use agent::{Agent, Dialect, ToolUse};
pub use balancer::Balancer;
pub use browser::{Browser, Tab};
pub use certificates::Authority;
pub use client::{Client, ToolResult};
pub use collector::Collector;
pub use home::Home;
#[cfg(unix)]
pub use hostile::Hostile;
pub use http::{HttpClient, HttpServer, MessageStream};
pub use issuer::Issuer;
pub use model::{Model, ModelRequest, Reply};
#[cfg(unix)]
pub use pooler::Pooler;
#[cfg(unix)]
pub use postgres::Postgres;
pub use proxy::{Link, Proxy};
pub use server::Launch;
pub use wait::wait_for;

/// The Codex version the whole-program tests run against.
pub const CODEX_VERSION: &str = "0.171.0";
