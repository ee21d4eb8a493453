//! MCP sessions of older-era clients on other servers of the same store: what their clients said when they began is kept
//! there, so that the SDK can begin them here as well. Whose they are is looked at before it does.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use rmcp::{
    model::InitializeRequestParams,
    transport::streamable_http_server::session::{SessionState, SessionStore, SessionStoreError},
};
use serde::Deserialize;

use super::limits::Owner;
use crate::mcp::{Handshakes, SessionError};

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

    /// Forgets one that its client has ended.
    pub(super) async fn forget(&self, id: &str) {
        if let Err(error) = self.kept.forget(id).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "an ended MCP session is not forgotten"
            );
        }
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
