//! Checks access tokens of the operator's identity provider (RFC 7519, RFC 9068) and reads the principal in them.

use std::collections::HashSet;

use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey, Header, Validation, decode, decode_header,
};
use serde_json::{Map, Value};

use super::{
    keys::{Key, Keys, KeysError},
    signatures,
};
use crate::{
    config::JwtSettings,
    mcp::{Principal, Scope, Tenant},
};

/// Checks tokens of one provider.
#[derive(Debug)]
pub(in crate::serve::http) struct JwtVerifier {
    settings: JwtSettings,
    issuer: String,
    tenants: HashSet<String>,
    keys: Keys,
}

/// Why a token makes no principal.
#[derive(Debug)]
pub(super) enum JwtRefused {
    /// It is forged, over, for somebody else, or no token at all. The reason has nothing of the token.
    Invalid(&'static str),
    /// It is good, but for none of our scopes.
    NoScope,
    /// It is good, but names no tenant, or several.
    NoTenant,
    /// The provider's keys cannot be had.
    Keys(KeysError),
}

impl JwtVerifier {
    /// Checks tokens as these settings say. `None` if they name no issuer.
    pub(super) fn new(settings: &JwtSettings, tenants: Vec<String>) -> Option<Self> {
        let issuer = settings.issuer.clone()?;
        signatures::install();
        let keys = Keys::new(&issuer, settings.jwks.as_deref());
        let tenants = tenants.into_iter().collect();
        Some(Self { settings: settings.clone(), issuer, tenants, keys })
    }

    /// The principal of a token.
    pub(super) async fn check(&self, token: &str) -> Result<Principal, JwtRefused> {
        // Among the algorithms that this reads there is no `none`.
        let header = decode_header(token).map_err(|_| JwtRefused::Invalid("no JWT"))?;
        let family = header.alg.family();
        if family == AlgorithmFamily::Hmac {
            // A public key must never be taken for a secret.
            return Err(JwtRefused::Invalid("a symmetric algorithm"));
        }
        if header.crit.is_some() {
            return Err(JwtRefused::Invalid("critical extensions"));
        }
        let keys = self.keys.matching(&header).await.map_err(JwtRefused::Keys)?;
        let mut refused = JwtRefused::Invalid("no key of the provider's fits");
        for key in keys {
            match self.claims(token, &header, &key) {
                Ok(claims) => return self.principal(&claims),
                Err(reason) => refused = JwtRefused::Invalid(reason),
            }
        }
        Err(refused)
    }

    fn claims(
        &self,
        token: &str,
        header: &Header,
        key: &Key,
    ) -> Result<Map<String, Value>, &'static str> {
        if key.algorithm.is_some_and(|only| only != header.alg) {
            return Err("an algorithm the key is not for");
        }
        let claims = decode_with(token, header.alg, &key.decoding, &self.validation(header.alg))?;
        // The library would take a list of issuers as well.
        match claims.get("iss") {
            Some(Value::String(issuer)) if *issuer == self.issuer => Ok(claims),
            _ => Err("another issuer"),
        }
    }

    fn validation(&self, algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        validation.leeway = self.settings.leeway.0.as_secs();
        validation.validate_nbf = true;
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&self.settings.audience);
        validation
    }

    fn principal(&self, claims: &Map<String, Value>) -> Result<Principal, JwtRefused> {
        let settings = &self.settings;
        let subject = claim(claims, &settings.subject_claim).and_then(Value::as_str);
        let subject = subject.filter(|subject| !subject.is_empty());
        let subject = subject.ok_or(JwtRefused::Invalid("no subject"))?;
        let words = words(claim(claims, &settings.scope_claim));
        let scopes = [
            (&settings.admin_scope, Scope::Admin),
            (&settings.run_scope, Scope::Run),
            (&settings.read_scope, Scope::Read),
        ];
        let scope = scopes.iter().find(|(name, _)| words.contains(&name.as_str()));
        let (_, scope) = scope.ok_or(JwtRefused::NoScope)?;
        Ok(Principal {
            tenant: Some(self.tenant(claims)?),
            // Never that of a token of ours.
            subject: format!("jwt:{subject}"),
            scope: *scope,
        })
    }

    /// The one tenant of this server that the claims name.
    fn tenant(&self, claims: &Map<String, Value>) -> Result<Tenant, JwtRefused> {
        let fixed = self.settings.tenant.as_deref();
        let named = || match claim(claims, &self.settings.tenant_claim) {
            // A list may have groups that are nothing to us.
            Some(Value::Array(values)) => {
                let names: HashSet<_> = values.iter().filter_map(Value::as_str).collect();
                let mut ours = names.into_iter().filter(|name| self.tenants.contains(*name));
                ours.next().filter(|_| ours.next().is_none())
            }
            Some(Value::String(name)) => Some(name.as_str()),
            _ => None,
        };
        let name = fixed.or_else(named).filter(|name| self.tenants.contains(*name));
        name.and_then(|name| name.parse().ok()).ok_or(JwtRefused::NoTenant)
    }
}

fn decode_with(
    token: &str,
    algorithm: Algorithm,
    key: &DecodingKey,
    validation: &Validation,
) -> Result<Map<String, Value>, &'static str> {
    use jsonwebtoken::errors::ErrorKind;

    if key.family() != algorithm.family() {
        return Err("an algorithm the key is not for");
    }
    let decoded = decode(token, key, validation).map_err(|error| match error.kind() {
        ErrorKind::ExpiredSignature => "it is over",
        ErrorKind::ImmatureSignature => "it does not hold yet",
        ErrorKind::InvalidAudience => "it is for another audience",
        ErrorKind::InvalidIssuer => "another issuer",
        ErrorKind::InvalidSignature => "the signature is wrong",
        ErrorKind::MissingRequiredClaim(_) => "a claim is missing",
        _ => "it cannot be read",
    })?;
    Ok(decoded.claims)
}

/// A claim by its name, or by a JSON pointer.
fn claim<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    if !name.starts_with('/') {
        return claims.get(name);
    }
    // Names may have slashes, as those that are URLs do; they never begin with one.
    let mut parts = name.split('/').skip(1);
    let unescaped = |part: &str| part.replace("~1", "/").replace("~0", "~");
    let first = claims.get(&unescaped(parts.next()?))?;
    parts.try_fold(first, |value, part| value.get(unescaped(part)))
}

/// The words of a claim that is a text or a list.
fn words(claim: Option<&Value>) -> Vec<&str> {
    match claim {
        Some(Value::String(text)) => text.split_whitespace().collect(),
        Some(Value::Array(values)) => values.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
