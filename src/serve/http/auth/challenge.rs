//! What callers without a good token are told, in the headers that clients read (RFC 6750, RFC 9728).

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::Response,
};

use super::Refused;
use crate::{
    mcp::Scope,
    serve::http::refusal::{refused, retry_later},
};

/// After how many seconds a client shall try again when tokens cannot be checked.
const SOON: u16 = 1;

/// How to get a token, as challenges say it.
#[derive(Debug)]
pub(in crate::serve::http) struct Challenge {
    /// Where the metadata of this server is. `None` if no provider issues tokens for it.
    metadata: Option<String>,
    read: String,
    run: String,
    admin: String,
}

impl Challenge {
    /// Challenges that name the metadata at this URL, and the scopes `read`, `run` and `admin` as the provider does.
    pub(in crate::serve::http) fn new(metadata: Option<String>, scopes: [&str; 3]) -> Self {
        let [read, run, admin] = scopes.map(str::to_owned);
        Self { metadata, read, run, admin }
    }

    /// The answer to a request without a principal. What is wrong with a token is not said.
    pub(in crate::serve::http) fn answer(&self, why: &Refused) -> Response {
        let operator = "Ask the operator for one: `codex-mcp-server token new --tenant NAME`.";
        match why {
            Refused::NoToken => {
                let words = "A token is needed: `Authorization: Bearer …`.";
                let response = refused(StatusCode::UNAUTHORIZED, "missing_token", words, operator);
                self.challenged(response, None, Scope::Run)
            }
            Refused::Invalid => {
                let words = "The token is not known here, was revoked, or is over.";
                let response = refused(StatusCode::UNAUTHORIZED, "invalid_token", words, operator);
                self.challenged(response, Some("invalid_token"), Scope::Run)
            }
            Refused::NoScope => self.insufficient(Scope::Run),
            Refused::NoTenant => refused(
                StatusCode::FORBIDDEN,
                "unknown_tenant",
                "The token names no tenant of this server.",
                "The operator has to add the tenant to the server's configuration, or to the token's claims.",
            ),
            Refused::Unavailable(error) => {
                tracing::error!(
                    error = &**error as &dyn std::error::Error,
                    "tokens cannot be checked"
                );
                let words = "Tokens cannot be checked now.";
                let status = StatusCode::SERVICE_UNAVAILABLE;
                retry_later(status, "store_unavailable", words, SOON)
            }
        }
    }

    /// The answer to a principal whose token does not allow what needs this scope.
    pub(in crate::serve::http) fn insufficient(&self, needed: Scope) -> Response {
        let words = format!("This needs the scope `{}`.", self.name(needed));
        let next = "Get a token with that scope.";
        let response = refused(StatusCode::FORBIDDEN, "insufficient_scope", &words, next);
        self.challenged(response, Some("insufficient_scope"), needed)
    }

    fn name(&self, scope: Scope) -> &str {
        match scope {
            Scope::Read => &self.read,
            Scope::Run => &self.run,
            Scope::Admin => &self.admin,
        }
    }

    fn challenged(&self, mut response: Response, error: Option<&str>, scope: Scope) -> Response {
        let mut challenge = "Bearer realm=\"codex-mcp-server\"".to_owned();
        let scope = self.name(scope);
        let fields = [
            ("error", error),
            ("scope", Some(scope)),
            ("resource_metadata", self.metadata.as_deref()),
        ];
        for (name, value) in fields {
            challenge += &value.map(|value| format!(", {name}=\"{value}\"")).unwrap_or_default();
        }
        // A name that cannot be in a header is left out with all the rest; the body says the same.
        if let Ok(challenge) = HeaderValue::try_from(challenge) {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}
