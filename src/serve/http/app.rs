//! What all requests share.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use axum::http::Extensions;
use rmcp::transport::streamable_http_server::session::SessionManager;
use tokio_util::sync::CancellationToken;

use super::{
    HttpConfig, MetricsText, NoTenant, Tenants,
    addresses::{Addresses, Place},
    auth::{Authenticator, Challenge, Refused, metadata, well_known},
    handshakes::SharedHandshakes,
    limits::Calls,
    mcp_sessions::McpSessions,
    tenants::Endpoint,
};
use crate::mcp::{ForwardedMessage, Handshakes, Principal, Scope, Tenant};

/// What all requests share.
#[derive(Debug)]
pub(super) struct App {
    pub(super) config: HttpConfig,
    pub(super) authenticator: Authenticator,
    pub(super) challenge: Challenge,
    /// Where clients get tokens. `None` if no provider issues any for this server.
    pub(super) metadata: Option<serde_json::Value>,
    /// How many connections each address has.
    pub(super) addresses: Arc<Addresses>,
    pub(super) metrics: MetricsText,
    pub(super) tenants: Tenants,
    pub(super) calls: Arc<Calls>,
    pub(super) mcp_sessions: Arc<McpSessions<Endpoint>>,
    /// Those of all servers of the store. `None` if nothing is kept.
    pub(super) handshakes: Option<SharedHandshakes>,
    /// When a Codex was found.
    pub(super) codex_found: tokio::sync::Mutex<Option<tokio::time::Instant>>,
    endpoints: Mutex<HashMap<(Option<Tenant>, Scope), Endpoint>>,
    /// Cancelled when the server is asked to end: what is new is refused.
    pub(super) draining: CancellationToken,
    /// Cancelled when all streams are to end.
    pub(super) cut: CancellationToken,
}

impl App {
    /// What is shared by the requests to a server that clients reach at `base_url`.
    pub(super) fn new(
        config: HttpConfig,
        base_url: &str,
        authenticator: Authenticator,
        handshakes: Option<Handshakes>,
        addresses: Arc<Addresses>,
        metrics: MetricsText,
        tenants: Tenants,
    ) -> Arc<Self> {
        let (jwt, path) = (&config.settings.jwt, &config.settings.path);
        let metadata = metadata(&format!("{base_url}{path}"), jwt);
        let metadata = metadata.filter(|_| authenticator.has_issuer());
        let url = metadata.as_ref().map(|_| format!("{base_url}{}", well_known(path)));
        let challenge = Challenge::new(url, [&jwt.read_scope, &jwt.run_scope, &jwt.admin_scope]);
        let idle = config.settings.mcp_session_idle.0;
        Arc::new(Self {
            authenticator,
            challenge,
            metadata,
            addresses,
            metrics,
            calls: Calls::new(config.settings.calls),
            mcp_sessions: McpSessions::new(config.settings.mcp_sessions),
            codex_found: tokio::sync::Mutex::default(),
            handshakes: handshakes.map(|kept| SharedHandshakes::new(kept, idle)),
            endpoints: Mutex::default(),
            draining: CancellationToken::new(),
            cut: CancellationToken::new(),
            config,
            tenants,
        })
    }

    /// Who has this token. Its connection is a known caller's from now on.
    pub(super) async fn principal(
        &self,
        token: Option<&str>,
        extensions: &Extensions,
    ) -> Result<Principal, Refused> {
        let principal = self.authenticator.principal(token).await?;
        if let Some(place) = extensions.get::<Arc<Place>>() {
            place.is_known();
        }
        Ok(principal)
    }

    /// Ends the MCP sessions that nobody has used for long.
    pub(super) async fn end_idle(&self) {
        for (id, endpoint) in self.mcp_sessions.take_idle(self.config.settings.mcp_session_idle.0) {
            let closed = endpoint.sessions.close_session(&id.into()).await;
            tracing::debug!(in_order = closed.is_ok(), "an idle MCP session ended");
        }
        if let Some(handshakes) = &self.handshakes {
            handshakes.prolong(&self.mcp_sessions.called_lately()).await;
        }
    }

    /// Does what other servers pass on for clients, as long as there are others.
    pub(super) async fn take_forwarded(&self) {
        let Some(handshakes) = self.handshakes.as_ref().filter(|it| it.server().is_some()) else {
            return std::future::pending().await;
        };
        loop {
            handshakes.forwarded().await;
            if self.mcp_sessions.count() == 0 {
                continue;
            }
            for ForwardedMessage { mcp_session, message } in handshakes.take_forwarded().await {
                let Some(endpoint) = self.mcp_sessions.home(&mcp_session) else { continue };
                if message.is_none() {
                    self.mcp_sessions.remove(&mcp_session);
                }
                endpoint.sessions.accept_forwarded(&mcp_session, message.as_deref()).await;
            }
        }
    }

    /// The endpoint for a principal.
    pub(super) fn endpoint(&self, principal: &Principal) -> Result<Endpoint, NoTenant> {
        let key = (principal.tenant.clone(), principal.scope);
        // Nothing under the lock can panic.
        let mut endpoints = self.endpoints.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(endpoint) = endpoints.get(&key) {
            return Ok(endpoint.clone());
        }
        let server = self.tenants.server(principal.tenant.as_ref())?;
        let endpoint = Endpoint::new(
            server,
            principal.scope,
            &self.config,
            self.handshakes.as_ref(),
            &self.cut,
        );
        endpoints.insert(key, endpoint.clone());
        Ok(endpoint)
    }
}
