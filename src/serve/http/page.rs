//! The page over HTTP: whoever has a token of a tenant sees that tenant's sessions. The browser keeps the token in a cookie
//! that no script can read.

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header, uri::Authority},
    middleware::{Next, from_fn, from_fn_with_state},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use http_body_util::BodyExt;
use serde::Deserialize;

use super::{
    app::App,
    auth::{Refused, bearer},
    body::{read_body, while_good},
    client_address::{Peer, client_address},
    refusal::{SOON, refused, retry_later},
};
use crate::{
    mcp::Principal,
    serve::page::{cookie, explained},
    web::{self, Viewer},
};

/// The cookie that has the token.
const COOKIE: &str = "codex_mcp_token";

/// For how long a browser keeps it, in seconds.
const KEPT: u32 = 30 * 24 * 60 * 60;

/// The longest login, in bytes.
const LOGIN_BYTES: usize = 16 * 1024;

/// All paths of the page.
pub(super) fn router(app: &Arc<App>) -> Router<Arc<App>> {
    let login = Router::new()
        .route("/ui", get(async || Redirect::to("/ui/")))
        .route("/ui/login", post(login))
        .route("/ui/logout", post(async || logout()));
    let page = web::router().route_layer(from_fn_with_state(Arc::clone(app), enter));
    login
        .merge(page)
        .route_layer(from_fn_with_state(Arc::clone(app), guard))
        .route_layer(from_fn(web::protect))
}

/// Refuses other names of this server: a page elsewhere may have given it one.
async fn guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    if app.draining.is_cancelled() {
        let (status, words) = (StatusCode::SERVICE_UNAVAILABLE, "This server is about to end.");
        return retry_later(status, "draining", words, SOON);
    }
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let host = host.and_then(|host| host.parse::<Authority>().ok());
    let allowed = &app.config.settings.hosts;
    let is_known = host.is_some_and(|host| {
        let name = host.host().trim_matches(['[', ']']);
        allowed.iter().any(|known| known == "*" || known == name || known == host.as_str())
    });
    if !is_known {
        let next = "The operator can allow it with `http.hosts`.";
        let words = "This server is not known by that name.";
        return refused(StatusCode::FORBIDDEN, "unknown_host", words, next);
    }
    next.run(request).await
}

/// Lets whoever has a token look at the sessions of its tenant.
async fn enter(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    match entered(&app, request, next).await {
        Ok(response) | Err(response) => response,
    }
}

async fn entered(app: &Arc<App>, request: Request, next: Next) -> Result<Response, Response> {
    if !request.uri().path().starts_with("/api/") {
        return Ok(next.run(request).await);
    }
    let (mut head, body) = request.into_parts();
    let token = token(&head.headers).map(str::to_owned);
    let principal = match app.principal(token.as_deref(), &head.extensions).await {
        Ok(principal) => principal,
        // The page asks for a token.
        Err(Refused::NoToken | Refused::Invalid) => {
            return Ok(next.run(Request::from_parts(head, Body::empty())).await);
        }
        Err(refused) => return Err(app.challenge.answer(&refused)),
    };
    let owner = (principal.tenant.clone(), principal.subject.clone());
    let Some(mut in_flight) = app.calls.begin(&owner) else {
        let words = format!("This token has {} calls in flight.", app.config.settings.calls);
        return Err(retry_later(StatusCode::TOO_MANY_REQUESTS, "too_many_calls", &words, SOON));
    };
    let listens = head.uri.path().ends_with("/events");
    if listens {
        in_flight.listens();
    }
    let Some(viewer) = viewer(app, &principal) else {
        let words = "The tenant of this token is not served.";
        let next = "The operator has to add the tenant to the server's configuration.";
        return Err(refused(StatusCode::FORBIDDEN, "unknown_tenant", words, next));
    };
    head.extensions.insert(viewer);
    let body = read_body(body, app.config.settings.body_bytes).await?;
    let response = next.run(Request::from_parts(head, Body::from(body))).await;
    let app = Arc::clone(app);
    Ok(response.map(|body| {
        let body = match token.filter(|_| listens) {
            Some(token) => while_good(body, app, token),
            None => body,
        };
        // The call is over when the last of its answer has been taken.
        Body::new(body.map_frame(move |frame| {
            let _held = &in_flight;
            frame
        }))
    }))
}

fn viewer(app: &App, principal: &Principal) -> Option<Viewer> {
    let server = app.tenants.server(principal.tenant.as_ref()).ok()?;
    Some(Viewer {
        sessions: server.sessions().on_behalf_of(principal),
        name: format!("the page ({})", principal.subject),
        directory: None,
        may_leave: !app.authenticator.is_open(),
        ending: app.draining.clone(),
        explain: explained,
    })
}

fn token(headers: &HeaderMap) -> Option<&str> {
    bearer(headers).or_else(|| cookie(headers, COOKIE))
}

/// What was typed.
#[derive(Deserialize)]
struct Login {
    token: String,
}

async fn login(State(app): State<Arc<App>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = match read_body(body, LOGIN_BYTES).await {
        Ok(body) => body,
        Err(refused) => return refused,
    };
    let Ok(Login { token }) = serde_json::from_slice(&body) else {
        let next = "Send {\"token\": \"…\"}.";
        return refused(StatusCode::BAD_REQUEST, "invalid_argument", "That is no login.", next);
    };
    let token = token.trim();
    if let Err(refused) = app.principal(Some(token), &head.extensions).await {
        let peer = head.extensions.get::<Peer>();
        let from = peer
            .map(|peer| client_address(*peer, &head.headers, app.addresses.trusted()).to_string());
        tracing::info!(from, reason = refused.as_str(), "a login was refused");
        return app.challenge.answer(&refused);
    }
    let is_tls = app.config.settings.tls_certificate.is_some()
        || app.config.settings.base_url.as_ref().is_some_and(|url| url.starts_with("https"));
    let secure = if is_tls { "; Secure" } else { "" };
    with_cookie(&format!("{COOKIE}={token}; Max-Age={KEPT}{secure}"))
}

fn logout() -> Response {
    with_cookie(&format!("{COOKIE}=; Max-Age=0"))
}

fn with_cookie(cookie: &str) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    // What has characters that no header may have is no token either.
    if let Ok(cookie) =
        HeaderValue::from_str(&format!("{cookie}; HttpOnly; SameSite=Strict; Path=/"))
    {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}
