//! A token of ours, as it is kept: nobody can make the token from it.

use std::fmt;

use jiff::Timestamp;

use crate::session::{Scope, Tenant};

/// What is kept of a token.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenRecord {
    /// Names the token in lists; part of it, and no secret.
    pub id: String,
    /// Whose it is.
    pub tenant: Tenant,
    /// What it may do.
    pub scope: Scope,
    /// The SHA-256 of the secret part.
    pub hash: [u8; 32],
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends. `None` if only when it is revoked.
    pub expires_at: Option<Timestamp>,
}

impl fmt::Debug for TokenRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenRecord")
            .field("id", &self.id)
            .field("tenant", &self.tenant)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}
