//! Settings for serving over HTTP, and for the tenants that are served.

use std::{net::SocketAddr, path::PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;
use smart_default::SmartDefault;

use crate::{codex::Sandbox, session::Span};

/// Serving over HTTP, with `serve --http`.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, SmartDefault)]
#[serde(deny_unknown_fields, default)]
pub struct HttpSettings {
    /// Where to listen: an address of this machine and a port.
    #[default = "127.0.0.1:8765"]
    pub address: String,
    /// The path of the MCP endpoint.
    #[default = "/mcp"]
    pub path: String,
    /// Whether a token is needed; without, everybody who can connect is the operator, so it must be a loopback address.
    #[default = true]
    pub auth: bool,
    /// What clients may call this server (`Host`), with or without a port; if empty, the address itself and, on
    /// loopback, `localhost`.
    pub hosts: Vec<String>,
    /// The web pages (`Origin`) that may call it, such as `https://app.example:443`; none if empty.
    pub origins: Vec<String>,
    /// The URL that clients reach this server at, without the path, such as `https://codex.example`; the address itself
    /// if not set.
    pub base_url: Option<String>,
    /// Another address of this machine for `/metrics`, without a token; else they are at this server's own address for
    /// tokens with the scope `admin`.
    pub metrics: Option<String>,
    /// The proxies whose `X-Forwarded-For` is believed, as addresses or networks such as `10.0.0.0/8`.
    pub trusted_proxies: Vec<String>,
    /// The server's certificate and those that vouch for it, in PEM; read again on SIGHUP. Without one it speaks HTTP.
    #[schemars(extend("format" = "path"))]
    pub tls_certificate: Option<PathBuf>,
    /// The key of the certificate, in PEM.
    #[schemars(extend("format" = "path"))]
    pub tls_key: Option<PathBuf>,
    /// Tokens of an identity provider.
    pub jwt: JwtSettings,
    /// The longest body of a request, in bytes.
    #[default = 4_194_304]
    pub body_bytes: usize,
    /// How many connections there may be.
    #[default = 2048]
    pub connections: usize,
    /// How many of them one address may have (of `IPv6`, one /64 network), a quarter of that before a token was shown. Behind
    /// a trusted proxy the client's address counts.
    #[default = 1024]
    pub connections_per_address: usize,
    /// For how long a client may take nothing of an answer before its connection is closed.
    #[default(Span::seconds(30))]
    pub write_timeout: Span,
    /// How many calls one token may have in flight.
    #[default = 64]
    pub calls: usize,
    /// How many MCP sessions one token may have, for clients of the older protocol.
    #[default = 100]
    pub mcp_sessions: usize,
    /// How long an MCP session lives after its last call.
    #[default(Span::minutes(30))]
    #[schemars(extend("x-minimum" = "1s"))]
    pub mcp_session_idle: Span,
    /// How long calls may take to end once the server is asked to.
    #[default(Span::seconds(30))]
    pub drain: Span,
    /// Whether the page is at `/ui`, for whoever has a token.
    #[default = true]
    pub page: bool,
}

/// Access tokens that an identity provider issues, as JWTs. They are taken once `issuer` is set.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, SmartDefault)]
#[serde(deny_unknown_fields, default)]
pub struct JwtSettings {
    /// The provider's URL, exactly as its tokens have it in `iss`.
    pub issuer: Option<String>,
    /// What `aud` of a token must have one of; the URL of this server's endpoint if empty.
    pub audience: Vec<String>,
    /// The URL or the file of the provider's public keys; found by its `OpenID` configuration if not set.
    #[schemars(extend("format" = "path-or-url"))]
    pub jwks: Option<String>,
    /// The claim that names the tenant: a name, or a JSON pointer such as `/resource_access/codex/team`. Of a list, the
    /// one value that is a tenant here.
    #[default = "tenant"]
    pub tenant_claim: String,
    /// The tenant of all its tokens, in place of a claim.
    pub tenant: Option<String>,
    /// The claim that tells callers of a tenant apart.
    #[default = "sub"]
    pub subject_claim: String,
    /// The claim that has the scopes: words in a text, or a list.
    #[default = "scope"]
    pub scope_claim: String,
    /// What the provider calls the scope `read`.
    #[default = "read"]
    pub read_scope: String,
    /// What the provider calls the scope `run`.
    #[default = "run"]
    pub run_scope: String,
    /// What the provider calls the scope `admin`.
    #[default = "admin"]
    pub admin_scope: String,
    /// By how much the provider's clock may differ from this machine's.
    #[default(Span::minutes(1))]
    pub leeway: Span,
}

/// What one tenant may use.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TenantSettings {
    /// Directories that work and images must be below, links resolved. Needed.
    #[schemars(extend("format" = "path"))]
    pub roots: Vec<PathBuf>,
    /// The widest sandbox a call may ask for; as `limits` says if empty.
    pub sandbox_ceiling: Option<Sandbox>,
    /// The models a call may name; as `limits` says if empty.
    pub models: Option<Vec<String>>,
    /// The keys of Codex's configuration a call may set; as `limits` says if empty.
    pub config_keys: Option<Vec<String>>,
    /// How many sessions are kept; as `session` says if empty.
    pub session_cap: Option<usize>,
    /// How many of its sessions may have a turn under way at once; as `limits` says if empty.
    pub running_turns: Option<usize>,
    /// How many of its calls may wait for a turn to end; as `limits` says if empty.
    pub queued_calls: Option<usize>,
    /// How many of its turns may begin a day (UTC); as `limits` says if empty.
    pub turns_per_day: Option<u64>,
    /// After how many of its tokens no new turn begins that day (UTC); as `limits` says if empty.
    pub tokens_per_day: Option<u64>,
    /// Its Codex's own folder, with its login; one of the server's if empty.
    #[schemars(extend("format" = "path"))]
    pub codex_home: Option<PathBuf>,
    /// A file with an API key for its Codex, which only the server needs to be able to read; its own `codex login` if
    /// empty.
    #[schemars(extend("format" = "path"))]
    pub api_key_file: Option<PathBuf>,
    /// Its Codex binary; as `codex` says if empty.
    #[schemars(extend("format" = "program"))]
    pub codex_bin: Option<PathBuf>,
    /// What starts its Codex, such as `["setpriv", "--reuid=web", "--init-groups", "--"]`: as another user, or in a
    /// container. Needs `codex_home`, which that user must own.
    pub launcher: Vec<String>,
}

impl HttpSettings {
    /// The address to listen at.
    ///
    /// # Errors
    /// If it is none.
    pub fn socket_address(&self) -> Result<SocketAddr, std::net::AddrParseError> {
        self.address.parse()
    }
}
