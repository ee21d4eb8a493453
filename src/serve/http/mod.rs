//! Streamable HTTP: many clients of many tenants at one address, each call made by a principal.
//!
//! [`connections`] takes them, over [`tls`] if the operator has a certificate, and ends in order. For each request [`auth`]
//! finds out who calls, [`limits`] whether
//! there is room ([`addresses`], before anything is read), [`mcp_sessions`] whether the transport's session is the caller's; then the server of the caller's
//! tenant ([`tenants`]) answers it. [`health`] and [`metrics`] tell the operator's programs how it is. Knows nothing of Codex or SQL,
//! nor of what is called.

mod addresses;
mod app;
mod auth;
mod body;
mod client_address;
mod config;
mod connections;
mod drain;
mod handshakes;
mod health;
mod limits;
mod mcp_sessions;
mod metrics;
mod page;
mod refusal;
mod route;
mod tenants;
mod tls;
mod transport_sessions;
mod write_progress;

use std::{io, net::SocketAddr};

pub use config::{HttpConfig, MetricsText};
pub use connections::serve_http;
pub use tenants::{NoTenant, Tenants};
pub use tls::{TlsError, client, is_private};

/// Why HTTP cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The address cannot be listened at.
    #[error("cannot listen at {address}")]
    Listen {
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
    /// There is no TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A proxy is none.
    #[error("`http.trusted_proxies` has something that is no address and no network: `{0}`")]
    Proxy(String),
}
