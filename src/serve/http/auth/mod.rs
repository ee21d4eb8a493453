//! Finds out which principal makes a request: from a token of ours, or one of the operator's identity provider.
//!
//! [`bearer()`] reads the token, [`Authenticator`] checks it; [`jwt`] with the provider's [`keys`]. [`challenge`] answers
//! those that may not, and [`metadata()`] tells clients where to get a token. Issues no tokens. Knows nothing of what is
//! called.

mod bearer;
mod challenge;
mod jwt;
mod keys;
mod metadata;
mod signatures;

use jwt::{JwtRefused, JwtVerifier};

pub(super) use bearer::bearer;
pub(super) use challenge::Challenge;
pub(super) use metadata::{metadata, well_known};

use crate::{
    config::JwtSettings,
    mcp::{Principal, SessionError, Tokens},
};

/// What tokens of ours begin with.
const OURS: &str = "cms_";

/// Decides who may call.
#[derive(Debug)]
pub(super) enum Authenticator {
    /// Everybody who can connect is the operator.
    Open,
    /// Whoever has a token.
    ByToken {
        /// Tokens of ours. `None` if there is nothing to keep them in.
        ours: Option<Tokens>,
        /// Tokens of an identity provider. `None` if the operator has none.
        theirs: Option<Box<JwtVerifier>>,
    },
}

/// Why a request has no principal.
#[derive(Debug)]
pub(super) enum Refused {
    /// It has no token.
    NoToken,
    /// Its token is not good.
    Invalid,
    /// Its token is good for none of our scopes.
    NoScope,
    /// Its token names no tenant.
    NoTenant,
    /// Tokens cannot be checked now.
    Unavailable(Box<dyn std::error::Error + Send + Sync>),
}

impl Authenticator {
    /// Callers need a token: one of `ours`, or, if the settings name an issuer, one of theirs.
    pub(super) fn by_token(ours: Option<Tokens>, jwt: &JwtSettings, tenants: Vec<String>) -> Self {
        Self::ByToken { ours, theirs: JwtVerifier::new(jwt, tenants).map(Box::new) }
    }

    /// Whether everybody who can connect is the operator.
    pub(super) fn is_open(&self) -> bool {
        matches!(self, Self::Open)
    }

    /// Whether callers can get a token by themselves, from the identity provider.
    pub(super) fn has_issuer(&self) -> bool {
        matches!(self, Self::ByToken { theirs: Some(_), .. })
    }

    /// Whether this token is one of the identity provider's, where its holder can get another.
    pub(super) fn is_theirs(&self, token: &str) -> bool {
        self.has_issuer() && !token.starts_with(OURS)
    }

    /// Who has this token.
    pub(super) async fn principal(&self, token: Option<&str>) -> Result<Principal, Refused> {
        let (ours, theirs) = match self {
            Self::Open => return Ok(Principal::operator(None)),
            Self::ByToken { ours, theirs } => (ours, theirs),
        };
        let token = token.filter(|token| !token.is_empty()).ok_or(Refused::NoToken)?;
        match (ours, theirs) {
            (Some(tokens), _) if token.starts_with(OURS) => {
                let known = tokens.check(token).await;
                known.map_err(|error| Refused::Unavailable(error.into()))?.ok_or(Refused::Invalid)
            }
            (_, Some(jwt)) => Ok(jwt.check(token).await?),
            _ => Err(Refused::Invalid),
        }
    }

    /// Whether tokens can be checked.
    pub(super) async fn is_ready(&self) -> Result<(), SessionError> {
        match self {
            Self::ByToken { ours: Some(tokens), .. } => tokens.check_store().await,
            Self::Open | Self::ByToken { ours: None, .. } => Ok(()),
        }
    }
}

impl Refused {
    /// The reason in a few words, for the log.
    pub(super) fn as_str(&self) -> &'static str {
        match self {
            Self::NoToken => "no token",
            Self::Invalid => "a token that is not good",
            Self::NoScope => "a token without any of our scopes",
            Self::NoTenant => "a token without a tenant",
            Self::Unavailable(_) => "tokens cannot be checked",
        }
    }
}

impl From<JwtRefused> for Refused {
    fn from(refused: JwtRefused) -> Self {
        match refused {
            JwtRefused::Invalid(reason) => {
                tracing::debug!(reason, "a token of the identity provider is not good");
                Self::Invalid
            }
            JwtRefused::NoScope => Self::NoScope,
            JwtRefused::NoTenant => Self::NoTenant,
            JwtRefused::Keys(error) => Self::Unavailable(error.into()),
        }
    }
}
