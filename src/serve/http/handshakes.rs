//! MCP sessions of older-era clients on other servers of the same store: what their clients said when they began is kept
//! there, so that the SDK can begin them here as well. Whose they are is looked at before it does. What they send here and is
//! for another server goes there through the store.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use rmcp::{
    model::{ClientJsonRpcMessage, ClientRequest, InitializeRequestParams},
    transport::streamable_http_server::session::{SessionState, SessionStore, SessionStoreError},
};
use serde::Deserialize;
use tokio::time::timeout;

use super::limits::Owner;
use crate::mcp::{ForwardedMessage, Handshakes, SessionError, is_resource};

/// How often to poll for what the others pass on.
const POLL: Duration = Duration::from_secs(1);

/// How many subscriptions of an MCP session are kept: as many as a server takes.
const SUBSCRIPTIONS: usize = 1000;

/// The handshakes of all servers.
#[derive(Clone)]
pub(super) struct SharedHandshakes {
    kept: Arc<Handshakes>,
    /// How long after the last call.
    lasts: Duration,
}

impl fmt::Debug for SharedHandshakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedHandshakes").finish_non_exhaustive()
    }
}

/// A request that begins an MCP session.
#[derive(Deserialize)]
struct Initialize {
    params: serde_json::Value,
}

impl SharedHandshakes {
    pub(super) fn new(handshakes: Handshakes, lasts: Duration) -> Self {
        Self { kept: Arc::new(handshakes), lasts }
    }

    /// Keeps what the client said, whose MCP session this has become.
    pub(super) async fn keep(&self, id: &str, owner: &Owner, body: &[u8]) {
        let Ok(Initialize { params }) = serde_json::from_slice(body) else { return };
        let kept = self.kept.keep(id.to_owned(), text(owner), params.to_string(), self.lasts).await;
        if let Err(error) = kept {
            // It goes on here.
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "an MCP session is known to this server alone"
            );
        }
    }

    /// Whether another server has begun this MCP session for the same owner.
    pub(super) async fn knows(&self, id: &str, owner: &Owner) -> Result<bool, SessionError> {
        Ok(self.kept.find(id).await?.is_some_and(|kept| kept.owner == text(owner)))
    }

    /// Puts off the end of those that are called here.
    pub(super) async fn prolong(&self, ids: &[String]) {
        for id in ids {
            if let Err(error) = self.kept.prolong(id, self.lasts).await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "an MCP session may be forgotten early"
                );
                return;
            }
        }
    }

    /// Forgets one that its client has ended, here and on the other servers.
    pub(super) async fn forget(&self, id: &str) {
        let ended = ForwardedMessage { mcp_session: id.to_owned(), message: None };
        let forgotten = async {
            self.kept.forget(id).await?;
            self.kept.forward(None, &ended).await
        };
        if let Err(error) = forgotten.await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "an ended MCP session is not forgotten"
            );
        }
    }

    /// What the others know this server by. `None` if there are no others.
    pub(super) fn server(&self) -> Option<&str> {
        self.kept.server()
    }

    /// Leaves what a client has sent in an MCP session for one server, or for all others.
    pub(super) async fn forward(
        &self,
        to: Option<&str>,
        id: &str,
        message: &ClientJsonRpcMessage,
    ) -> Result<(), SessionError> {
        // What was read as one can be written as one.
        let message = serde_json::to_string(message).ok();
        let Some(message) = message else { return Ok(()) };
        let message = ForwardedMessage { mcp_session: id.to_owned(), message: Some(message) };
        self.kept.forward(to, &message).await
    }

    /// Keeps what a client subscribes to, and lets the others know. The stream of its news may be anywhere.
    pub(super) async fn keep_subscription(
        &self,
        id: &str,
        message: &ClientJsonRpcMessage,
    ) -> Result<(), SessionError> {
        let ClientJsonRpcMessage::Request(request) = message else { return Ok(()) };
        let (uri, subscribed) = match &request.request {
            // The server says what is wrong with others.
            ClientRequest::SubscribeRequest(request) if !is_resource(&request.params.uri) => {
                return Ok(());
            }
            ClientRequest::SubscribeRequest(request) => (&request.params.uri, true),
            ClientRequest::UnsubscribeRequest(request) => (&request.params.uri, false),
            _ => return Ok(()),
        };
        if subscribed && self.kept.subscriptions(id).await?.len() >= SUBSCRIPTIONS {
            return Ok(());
        }
        self.kept.subscribe(id, uri, subscribed).await?;
        self.forward(None, id, message).await
    }

    /// What a client has subscribed to.
    pub(super) async fn subscriptions(&self, id: &str) -> Vec<String> {
        self.kept.subscriptions(id).await.unwrap_or_else(|error| {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "a client's subscriptions are not known");
            Vec::new()
        })
    }

    /// Waits until the others may have left something.
    pub(super) async fn forwarded(&self) {
        // A hint can be lost.
        let _ = timeout(POLL, self.kept.forwarded()).await;
    }

    /// Takes what the others have left.
    pub(super) async fn take_forwarded(&self) -> Vec<ForwardedMessage> {
        self.kept.take_forwarded().await.unwrap_or_else(|error| {
            let error = &error as &dyn std::error::Error;
            tracing::debug!(error, "what other servers pass on is not known");
            Vec::new()
        })
    }
}

#[async_trait]
impl SessionStore for SharedHandshakes {
    async fn load(&self, id: &str) -> Result<Option<SessionState>, SessionStoreError> {
        let Some(kept) = self.kept.find(id).await? else { return Ok(None) };
        let params: InitializeRequestParams = serde_json::from_str(&kept.said)?;
        Ok(Some(SessionState::new(params)))
    }

    async fn store(&self, _id: &str, _state: &SessionState) -> Result<(), SessionStoreError> {
        // Kept where it is known whose it is.
        Ok(())
    }

    async fn delete(&self, _id: &str) -> Result<(), SessionStoreError> {
        Ok(())
    }
}

/// Tenant and subject, as one text: a tenant's name has no line break.
fn text((tenant, subject): &Owner) -> String {
    format!("{}\n{subject}", tenant.as_ref().map(crate::mcp::Tenant::as_str).unwrap_or_default())
}
