//! The metadata of this server as a protected resource (RFC 9728): where clients get tokens for it.

use serde_json::{Value, json};

use crate::config::JwtSettings;

/// Where the metadata of the resource at this path is.
pub(in crate::serve::http) fn well_known(path: &str) -> String {
    format!("/.well-known/oauth-protected-resource{}", path.trim_end_matches('/'))
}

/// The metadata. `None` if no provider issues tokens for this server.
pub(in crate::serve::http) fn metadata(resource: &str, jwt: &JwtSettings) -> Option<Value> {
    let issuer = jwt.issuer.as_deref()?;
    Some(json!({
        "resource": resource,
        "resource_name": "codex-mcp-server",
        "authorization_servers": [issuer],
        "scopes_supported": [jwt.read_scope, jwt.run_scope, jwt.admin_scope],
        "bearer_methods_supported": ["header"],
    }))
}
