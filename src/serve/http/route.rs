//! A request on its way to the server of its caller's tenant.

use std::{collections::BTreeSet, sync::Arc};

use axum::{
    Json, Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, Method, StatusCode, header, request::Parts},
    middleware::{Next, from_fn, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{any, get},
};
use http_body_util::{BodyExt, Full};
use serde::Deserialize;
use serde_json::Value;

use super::{
    addresses::Place,
    app::App,
    auth::{Refused, bearer, well_known},
    body::{read_body, while_good},
    client_address::{Peer, client_address},
    health,
    limits::Owner,
    mcp_sessions::SessionCall,
    metrics, page,
    refusal::{SOON, refused, retry_later},
    tenants::Endpoint,
};
use crate::mcp::{Principal, needed_scope};

/// The header that names an MCP session.
const MCP_SESSION: HeaderName = HeaderName::from_static("mcp-session-id");

/// The header that names the revision of MCP.
const MCP_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");

/// The first revision that has no MCP sessions.
const MODERN: &str = "2026-07-28";

/// The method that begins an MCP session.
const INITIALIZE: &str = "initialize";

/// The longest message that begins one, in bytes.
const HANDSHAKE_BYTES: usize = 64 * 1024;

/// The method that only listens.
const LISTEN: &str = "subscriptions/listen";

/// Where metrics are.
const METRICS: &str = "/metrics";

/// The same for a server that ends.
const AFTER_DRAIN: u16 = 5;

/// All paths there are.
pub(super) fn router(app: Arc<App>) -> Router {
    let path = app.config.settings.path.clone();
    let mut router = Router::new()
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route(&path, any(mcp));
    if app.config.metrics_address.is_none() {
        router = router.route(METRICS, get(metrics::for_admins));
    }
    if app.metadata.is_some() {
        // Clients look for it below the path of the endpoint, and without one.
        let places = BTreeSet::from([well_known(&path), well_known("")]);
        for place in places {
            router = router.route(&place, get(metadata));
        }
    }
    if app.config.settings.page {
        router = router.merge(page::router(&app));
    }
    let counted = from_fn_with_state(Arc::clone(&app), count_client);
    router.layer(counted).layer(from_fn(metrics::count_requests)).with_state(app)
}

/// Counts a request that comes through a trusted proxy for the client that the proxy names, until its answer was taken. The
/// connections of other clients are counted when they are made.
async fn count_client(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<Peer>().copied();
    let Some(peer) = peer.filter(|Peer(peer)| app.addresses.is_trusted(peer.ip())) else {
        return next.run(request).await;
    };
    let client = client_address(peer, request.headers(), app.addresses.trusted());
    if app.addresses.is_trusted(client) {
        return next.run(request).await;
    }
    let Some(place) = app.addresses.take(client) else {
        let words = "This address has too many requests under way.";
        return retry_later(StatusCode::TOO_MANY_REQUESTS, "too_many_connections", words, SOON);
    };
    let place = Arc::new(place);
    request.extensions_mut().insert(Arc::clone(&place));
    next.run(request).await.map(|body| {
        Body::new(body.map_frame(move |frame| {
            let _held = &place;
            frame
        }))
    })
}

/// The paths at the address for metrics alone.
pub(super) fn metrics_router(app: Arc<App>) -> Router {
    Router::new().route(METRICS, get(metrics::for_all)).with_state(app)
}

async fn mcp(State(app): State<Arc<App>>, request: Request) -> Response {
    match answer(&app, request).await {
        Ok(response) | Err(response) => response,
    }
}

/// Where clients get tokens. Web pages may read it as well.
async fn metadata(State(app): State<Arc<App>>) -> impl IntoResponse {
    ([(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*")], Json(app.metadata.clone()))
}

/// Who makes a request; an answer if that is nobody who may.
async fn principal(app: &App, head: &Parts) -> Result<Principal, Response> {
    let token = bearer(&head.headers);
    app.principal(token, &head.extensions).await.map_err(|refused| {
        let peer = head.extensions.get::<Peer>();
        let from = peer.map(|peer| client_address(*peer, &head.headers, app.addresses.trusted()));
        let from = from.map_or_else(|| "nowhere".to_owned(), |address| address.to_string());
        // Clients that begin without a token are not worth a line each.
        if !matches!(refused, Refused::NoToken) {
            tracing::info!(from, reason = refused.as_str(), "a caller was refused");
        }
        app.challenge.answer(&refused)
    })
}

async fn answer(app: &Arc<App>, request: Request) -> Result<Response, Response> {
    let (mut head, body) = request.into_parts();
    let principal = principal(app, &head).await?;
    let can_ask = bearer(&head.headers).is_some_and(|it| app.authenticator.is_theirs(it));
    let owner = (principal.tenant.clone(), principal.subject.clone());
    let endpoint = app.endpoint(&principal).map_err(|error| {
        tracing::warn!(error = &error as &dyn std::error::Error, "a token opens nothing");
        let next = "The operator has to add the tenant to the server's configuration.";
        refused(
            StatusCode::FORBIDDEN,
            "unknown_tenant",
            "The tenant of this token is not served.",
            next,
        )
    })?;
    let Some(mut in_flight) = app.calls.begin(&owner) else {
        let words = format!("This token has {} calls in flight.", app.config.settings.calls);
        return Err(retry_later(StatusCode::TOO_MANY_REQUESTS, "too_many_calls", &words, SOON));
    };
    let body = read_body(body, app.config.settings.body_bytes).await?;
    let (called, named) = method_of(&body);
    // Only who has a provider to ask can get a token with more scopes; to others the tool itself says it.
    let needed = called.as_deref().map(|method| needed_scope(method, named.as_deref()));
    if let Some(needed) = needed.filter(|needed| can_ask && principal.scope < *needed) {
        return Err(app.challenge.insufficient(needed));
    }
    let listens = head.method == Method::GET || called.as_deref() == Some(LISTEN);
    if listens {
        in_flight.listens();
    }
    let token = bearer(&head.headers).map(str::to_owned).filter(|_| listens);
    let is_modern = text(&head.headers, &MCP_VERSION).is_some_and(|it| *it >= *MODERN);
    if is_modern {
        // There are none in that revision, and nobody is to reach one without being asked who it is.
        head.headers.remove(&MCP_SESSION);
    }
    let session = text(&head.headers, &MCP_SESSION);
    let method = head.method.clone();
    // A session of the transport is for the rights that it was begun with.
    let owner = (owner.0, format!("{} {}", principal.scope.as_str(), owner.1));
    let mut reservation = None;
    let mut session_call = None;
    if let Some(id) = &session {
        session_call = Some(known_session(app, id, &owner, &endpoint).await?);
    } else if app.draining.is_cancelled() {
        let words = "This server is about to end.";
        return Err(retry_later(
            StatusCode::SERVICE_UNAVAILABLE,
            "shutting_down",
            words,
            AFTER_DRAIN,
        ));
    } else if called.as_deref() == Some(INITIALIZE) && body.len() > HANDSHAKE_BYTES {
        let words = format!("A handshake has at most {HANDSHAKE_BYTES} bytes.");
        let next = "Send a shorter `initialize`: it is kept for as long as the MCP session lasts.";
        return Err(refused(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", &words, next));
    } else if called.as_deref() == Some(INITIALIZE) {
        let reserved = app.mcp_sessions.reserve(&owner);
        reservation = Some(reserved.ok_or_else(|| too_many_sessions(app))?);
    }
    head.extensions.insert(principal);
    // The SDK keeps heads for longer than the connection lasts.
    head.extensions.remove::<Arc<Place>>();
    let said = body.clone();
    let request = Request::from_parts(head, Full::new(body));
    let response = endpoint.service.handle(request).await;
    if let (Some(reservation), Some(id)) = (reservation, text(response.headers(), &MCP_SESSION)) {
        // First: a client that leaves now must not leave it behind.
        reservation.complete(&id, endpoint);
        if let Some(handshakes) = &app.handshakes {
            handshakes.keep(&id, &owner, &said).await;
        }
    }
    if let (Method::DELETE, true, Some(id)) = (method, response.status().is_success(), session) {
        drop(session_call.take());
        app.mcp_sessions.remove(&id);
        if let Some(handshakes) = &app.handshakes {
            handshakes.forget(&id).await;
        }
    }
    // The call is over when the last of its answer has been taken.
    let app = Arc::clone(app);
    Ok(response.map(|body| {
        let guards = (in_flight, session_call);
        let body = match token {
            Some(token) => while_good(body, app, token),
            None => Body::new(body),
        };
        Body::new(body.map_frame(move |frame| {
            let _held = &guards;
            frame
        }))
    }))
}

/// A call in an MCP session that was begun here, or on another server of the store.
async fn known_session(
    app: &Arc<App>,
    id: &str,
    owner: &Owner,
    endpoint: &Endpoint,
) -> Result<SessionCall<Endpoint>, Response> {
    if let Some(call) = app.mcp_sessions.begin(id, owner) {
        return Ok(call);
    }
    let Some(handshakes) = &app.handshakes else { return Err(no_session()) };
    match handshakes.knows(id, owner).await {
        Ok(true) => {}
        Ok(false) => return Err(no_session()),
        Err(error) => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "an MCP session cannot be looked up"
            );
            let words = "The store cannot be read now.";
            return Err(retry_later(
                StatusCode::SERVICE_UNAVAILABLE,
                "store_unavailable",
                words,
                AFTER_DRAIN,
            ));
        }
    }
    // Two calls of it may come here at once.
    let reservation = app.mcp_sessions.reserve(owner).ok_or_else(|| too_many_sessions(app))?;
    reservation.complete(id, endpoint.clone());
    app.mcp_sessions.begin(id, owner).ok_or_else(no_session)
}

fn too_many_sessions(app: &App) -> Response {
    let words = format!("This token has {} MCP sessions.", app.config.settings.mcp_sessions);
    retry_later(StatusCode::TOO_MANY_REQUESTS, "too_many_mcp_sessions", &words, SOON)
}

/// The method that a message calls, if it is a message that calls one, and what of that it names.
fn method_of(body: &[u8]) -> (Option<String>, Option<String>) {
    #[derive(Deserialize)]
    struct Message {
        method: String,
        params: Option<Value>,
    }
    let Ok(Message { method, params }) = serde_json::from_slice(body) else { return (None, None) };
    let name = params.as_ref().and_then(|params| params.get("name")).and_then(Value::as_str);
    (Some(method), name.map(str::to_owned))
}

/// The same answer for a session that is over and for one of somebody else.
fn no_session() -> Response {
    let next = "Begin a new one with `initialize`; conversations with Codex are not lost.";
    refused(StatusCode::NOT_FOUND, "unknown_mcp_session", "There is no such MCP session.", next)
}

fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}
