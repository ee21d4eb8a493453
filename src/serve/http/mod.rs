//! Streamable HTTP: many clients of many tenants at one address, each call made by a principal.
//!
//! [`connections`] takes them and ends in order. For each request [`access`] finds out who calls, [`limits`] whether
//! there is room, [`mcp_sessions`] whether the transport's session is the caller's; then the server of the caller's
//! tenant ([`tenants`]) answers it. [`health`] tells the operator's programs how it is. Knows nothing of Codex or SQL,
//! nor of what is called.

mod access;
mod app;
mod connections;
mod drain;
mod health;
mod limits;
mod mcp_sessions;
mod route;
mod tenants;

use std::{io, net::SocketAddr, time::Duration};

pub use connections::serve_http;
pub use tenants::{NoTenant, Tenants};

/// How to serve over HTTP.
#[derive(Debug, Clone)]
pub struct HttpConfig {
    /// Where to listen.
    pub address: SocketAddr,
    /// The path of the MCP endpoint.
    pub path: String,
    /// What `Host` may be. If empty, what names the address itself.
    pub hosts: Vec<String>,
    /// What `Origin` may be, if there is one.
    pub origins: Vec<String>,
    /// The longest body of a request, in bytes.
    pub body_bytes: usize,
    /// How many connections there may be.
    pub connections: usize,
    /// How many calls one principal may have in flight.
    pub calls: usize,
    /// How many MCP sessions one principal may have.
    pub mcp_sessions: usize,
    /// How long an MCP session lives after its last call.
    pub mcp_session_idle: Duration,
    /// How long calls may take to end once the server is asked to.
    pub drain: Duration,
}

/// Why HTTP cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The address cannot be listened at.
    #[error("cannot listen at {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The cause.
        #[source]
        source: io::Error,
    },
}
