//! The servers of the tenants, each made when it is first needed.

use std::{
    collections::HashMap,
    fmt, io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::http::request::Parts;
use rmcp::{
    model::Extensions,
    transport::streamable_http_server::{
        StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
    },
};
use tokio_util::sync::CancellationToken;

use super::{HttpConfig, handshakes::SharedHandshakes, transport_sessions::TransportSessions};
use crate::mcp::{Principal, Scope, Server, Tenant};

/// There is no server for this tenant.
#[derive(Debug, thiserror::Error)]
pub enum NoTenant {
    /// The operator has none of that name.
    #[error("there is no tenant `{0}` in the configuration")]
    Unknown(Tenant),
    /// It cannot be served.
    #[error("tenant `{name}` cannot be served")]
    Broken {
        name: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

type Make = dyn Fn(Option<&Tenant>) -> Result<Server, NoTenant> + Send + Sync;

/// The servers of the tenants, and how to make them.
pub struct Tenants {
    make: Box<Make>,
    made: Mutex<HashMap<Option<Tenant>, Server>>,
}

/// The endpoint of one tenant's principals of one scope.
#[derive(Clone)]
pub(super) struct Endpoint {
    pub(super) service: StreamableHttpService<Server, TransportSessions>,
    pub(super) sessions: Arc<TransportSessions>,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").finish_non_exhaustive()
    }
}

impl fmt::Debug for Tenants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tenants").finish_non_exhaustive()
    }
}

impl Tenants {
    /// `make` makes the server of a tenant, or the operator's own.
    pub fn new(
        make: impl Fn(Option<&Tenant>) -> Result<Server, NoTenant> + Send + Sync + 'static,
    ) -> Self {
        Self { make: Box::new(make), made: Mutex::default() }
    }

    /// The server of a tenant's sessions.
    pub(super) fn server(&self, tenant: Option<&Tenant>) -> Result<Server, NoTenant> {
        let mut made = self.lock();
        if let Some(server) = made.get(&tenant.cloned()) {
            return Ok(server.clone());
        }
        let server = (self.make)(tenant)?;
        made.insert(tenant.cloned(), server.clone());
        Ok(server)
    }

    /// All servers there are, by tenant.
    pub(super) fn all(&self) -> Vec<(Option<Tenant>, Server)> {
        self.lock().iter().map(|(tenant, server)| (tenant.clone(), server.clone())).collect()
    }

    /// The lock is never held across an await and nothing under it can panic.
    fn lock(&self) -> MutexGuard<'_, HashMap<Option<Tenant>, Server>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The principal whom [`super::route`] has put into the head of a request.
fn who(extensions: &Extensions) -> Option<&Principal> {
    extensions.get::<Parts>()?.extensions.get()
}

impl Endpoint {
    /// An endpoint over a tenant's server for principals of this scope. All its streams end when `cut` is cancelled.
    pub(super) fn new(
        server: Server,
        scope: Scope,
        config: &HttpConfig,
        handshakes: Option<&SharedHandshakes>,
        cut: &CancellationToken,
    ) -> Self {
        let mut sessions = LocalSessionManager::default();
        // A turn may say nothing for longer than any such limit; see `mcp_sessions` for when they end.
        sessions.session_config.keep_alive = None;
        // Gemini CLI 0.61 takes an event without data for a broken answer.
        sessions.session_config.sse_retry = None;
        let sessions = Arc::new(TransportSessions::new(sessions, handshakes));
        let mut streams = StreamableHttpServerConfig::default()
            .with_cancellation_token(cut.clone())
            .with_sse_retry(None)
            .with_allowed_hosts(config.settings.hosts.clone())
            .with_allowed_origins(config.settings.origins.clone())
            .enforce_origin_validation()
            .with_max_request_body_bytes(config.settings.body_bytes);
        streams.session_store = handshakes.map(|shared| Arc::new(shared.clone()) as Arc<_>);
        let make = move || Ok::<_, io::Error>(server.for_remote(scope, who));
        let service = StreamableHttpService::new(make, Arc::clone(&sessions), streams);
        Self { service, sessions }
    }
}
