//! Who may in: a code that is good once is exchanged for a cookie, and nobody else knows either. Another page cannot come
//! in by another name of this machine.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Redirect, Response},
};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use tokio_util::sync::CancellationToken;

use super::words::in_one_line;
use crate::{mcp::SessionError, serve::peers::Peers, web::Viewer};

/// What a page is served with. Whoever asks for it makes the secrets, so that another host can serve the same page.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PageKeys {
    /// Where to listen on loopback; anywhere if 0.
    pub port: u16,
    /// What a browser that may in sends.
    pub cookie: String,
    /// What is exchanged for it, once. `None` if that has been done.
    pub code: Option<String>,
}

impl std::fmt::Debug for PageKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PageKeys").field("port", &self.port).finish_non_exhaustive()
    }
}

/// The door of one page.
pub(super) struct Door {
    pub(super) port: u16,
    pub(super) cookie: String,
    pub(super) code: Mutex<Option<String>>,
    /// Cancelled when the code was used.
    pub(super) entered: CancellationToken,
    pub(super) viewer: Viewer,
    pub(super) peers: Peers,
}

impl Door {
    /// Cookies are a host's, whatever the port: each page has one of its own.
    fn cookie_name(&self) -> String {
        format!("codex_mcp_{}", self.port)
    }

    fn is_here(&self, headers: &HeaderMap) -> bool {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let named = |name: &str| host == Some(format!("{name}:{}", self.port).as_str());
        named("127.0.0.1") || named("localhost")
    }

    fn is_known(&self, headers: &HeaderMap) -> bool {
        let name = self.cookie_name();
        cookie(headers, &name).is_some_and(|value| is_same(value, &self.cookie))
    }

    /// Takes the code, if it is the right one.
    fn take(&self, given: &str) -> bool {
        // Nothing under the lock can panic.
        let mut code = self.code.lock().unwrap_or_else(PoisonError::into_inner);
        let is_it = code.as_ref().is_some_and(|code| is_same(given, code));
        let taken = code.take_if(|_| is_it).is_some();
        if taken {
            self.entered.cancel();
        }
        taken
    }

    fn enter(&self, request: &Request) -> Response {
        let code = request.uri().query().and_then(|query| query.strip_prefix("code="));
        if code.is_some_and(|code| self.take(code)) {
            let (name, value) = (self.cookie_name(), &self.cookie);
            let cookie = format!("{name}={value}; HttpOnly; SameSite=Strict; Path=/");
            let mut response = Redirect::to("/ui/").into_response();
            if let Ok(cookie) = HeaderValue::from_str(&cookie) {
                response.headers_mut().insert(header::SET_COOKIE, cookie);
            }
            return response;
        }
        if self.is_known(request.headers()) {
            return Redirect::to("/ui/").into_response();
        }
        let words = "This address was used already, or is not the one that was printed.\n\
                     `codex-mcp-server ui` prints another.\n";
        (StatusCode::FORBIDDEN, words).into_response()
    }
}

/// Lets a request in, or not.
pub(super) async fn guard(
    State(door): State<Arc<Door>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    mut request: Request,
    next: Next,
) -> Response {
    if !door.is_here(request.headers()) {
        return (StatusCode::MISDIRECTED_REQUEST, "This is another machine's name.\n")
            .into_response();
    }
    // Asked for each request: a connection can be handed on.
    if !door.peers.is_trusted(peer, (Ipv4Addr::LOCALHOST, door.port).into()).await {
        let words = in_one_line(&SessionError::Nested);
        return (StatusCode::FORBIDDEN, format!("{words}\n")).into_response();
    }
    if request.uri().path() == "/" {
        return door.enter(&request);
    }
    if door.is_known(request.headers()) {
        request.extensions_mut().insert(door.viewer.clone());
    }
    next.run(request).await
}

/// The cookie of this name.
pub(in crate::serve) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let all = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let pairs = all.flat_map(|all| all.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(|(known, _)| *known == name).map(|(_, value)| value).next()
}

fn is_same(given: &str, known: &str) -> bool {
    given.as_bytes().ct_eq(known.as_bytes()).into()
}
