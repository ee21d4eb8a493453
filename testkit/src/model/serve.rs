//! The HTTP side of the fake model.

use std::{
    collections::HashMap,
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    Json, Router,
    body::Body as HttpBody,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use tokio::{sync::Barrier, task::JoinHandle};

use super::{ModelRequest, Reply, reply::Body, script};

type Responder = dyn Fn(&ModelRequest) -> Reply + Send + Sync;

/// A running fake model. Dropping it ends the server.
#[derive(Debug)]
pub struct Model {
    address: SocketAddr,
    seen: Arc<Seen>,
    server: JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    requests: Mutex<Vec<ModelRequest>>,
    open: AtomicUsize,
    gatherings: Mutex<HashMap<usize, Arc<Barrier>>>,
    /// How much of the account's allowance is used, in percent, and when it resets.
    allowance: Mutex<(u32, i64)>,
    responder: Option<Box<Responder>>,
}

impl std::fmt::Debug for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seen").field("open", &self.open).finish_non_exhaustive()
    }
}

impl Model {
    /// Starts a model on a free loopback port that answers by [`script()`].
    pub async fn start() -> Self {
        Self::with(script).await
    }

    /// Starts a model that answers by `responder`.
    pub async fn with(responder: impl Fn(&ModelRequest) -> Reply + Send + Sync + 'static) -> Self {
        let listener =
            tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("bind a loopback port");
        let address = listener.local_addr().expect("the address that was bound");
        let seen = Arc::new(Seen { responder: Some(Box::new(responder)), ..Seen::default() });
        let app = Router::new()
            .route("/v1/responses", post(respond))
            .route("/v1/models", get(models))
            .route("/backend-api/wham/usage", get(allowance))
            .with_state(Arc::clone(&seen));
        let server = tokio::spawn(async move {
            let _ = axum::serve(listener, app).await;
        });
        Self { address, seen, server }
    }

    /// The base URL for a Codex model provider.
    pub fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// The base URL of the account's own back end; see [`crate::Home::log_in`].
    pub fn account_url(&self) -> String {
        format!("http://{}/backend-api", self.address)
    }

    /// Says how much of the account's allowance is used, in percent, and when it resets (a Unix time).
    pub fn set_allowance(&self, used: u32, resets_at: i64) {
        *self.seen.allowance.lock().expect("unpoisoned") = (used, resets_at);
    }

    /// Every request so far, oldest first.
    pub fn requests(&self) -> Vec<ModelRequest> {
        self.requests_after(0)
    }

    /// The requests after the first `count`.
    pub fn requests_after(&self, count: usize) -> Vec<ModelRequest> {
        let requests = self.seen.requests.lock().expect("unpoisoned");
        requests.get(count..).unwrap_or_default().to_vec()
    }

    /// The newest request whose last prompt contains `text`.
    pub fn request_for(&self, text: &str) -> Option<ModelRequest> {
        let requests = self.requests();
        requests.into_iter().rev().find(|r| r.prompts().last().is_some_and(|p| p.contains(text)))
    }

    /// How many answers are being streamed now.
    pub fn open_streams(&self) -> usize {
        self.seen.open.load(Ordering::SeqCst)
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Seen {
    /// Where answers that go together wait for each other.
    fn gathering(&self, count: usize) -> Arc<Barrier> {
        let mut gatherings = self.gatherings.lock().expect("unpoisoned");
        Arc::clone(gatherings.entry(count).or_insert_with(|| Arc::new(Barrier::new(count))))
    }
}

/// Counts a stream as open until Codex has read it or hung up.
struct OpenStream(Arc<Seen>);

impl OpenStream {
    fn new(seen: Arc<Seen>) -> Self {
        seen.open.fetch_add(1, Ordering::SeqCst);
        Self(seen)
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn models() -> Json<Value> {
    Json(json!({"object": "list", "data": [], "models": []}))
}

async fn allowance(State(seen): State<Arc<Seen>>) -> Json<Value> {
    let (used, resets_at) = *seen.allowance.lock().expect("unpoisoned");
    let window = json!({"used_percent": used, "limit_window_seconds": 18_000,
        "reset_after_seconds": 1000, "reset_at": resets_at});
    let limit = json!({"allowed": true, "limit_reached": false, "primary_window": window});
    let credits = json!({"has_credits": true, "unlimited": false, "balance": "12.5"});
    Json(json!({"plan_type": "pro", "rate_limit": limit, "credits": credits}))
}

async fn respond(
    State(seen): State<Arc<Seen>>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    let authorization = headers.get(header::AUTHORIZATION).and_then(|it| it.to_str().ok());
    let request = ModelRequest { body, authorization: authorization.map(str::to_owned) };
    let reply = match &seen.responder {
        Some(responder) => responder(&request),
        None => script(&request),
    };
    let id = {
        let mut requests = seen.requests.lock().expect("unpoisoned");
        requests.push(request.clone());
        format!("resp_{}", requests.len())
    };
    if let Body::Status { code, message, kind } = &reply.body {
        let error = json!({"error": {"message": message, "type": kind, "code": kind}});
        let status = StatusCode::from_u16(*code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(error)).into_response();
        add_headers(&mut response, &reply.headers);
        return response;
    }
    let open = OpenStream::new(Arc::clone(&seen));
    let opening = reply.opening(&id);
    let closing = reply.closing(&id, &request.tools());
    let gathering = seen.gathering(reply.together);
    let headers = reply.headers.clone();
    let delay = async move {
        gathering.wait().await;
        tokio::time::sleep(reply.delay).await;
    };
    let delay = stream::once(delay).filter_map(|()| async { None });
    let events =
        stream::iter(opening).chain(delay).chain(stream::iter(closing)).map(move |event| {
            let _held = &open;
            Ok::<_, Infallible>(sse(&event))
        });
    let kind = [(header::CONTENT_TYPE, "text/event-stream")];
    let mut response = (kind, HttpBody::from_stream(events)).into_response();
    add_headers(&mut response, &headers);
    response
}

fn add_headers(response: &mut Response, headers: &[(&'static str, String)]) {
    for (name, value) in headers {
        let value = header::HeaderValue::from_str(value).expect("a plain value");
        response.headers_mut().insert(*name, value);
    }
}

fn sse(event: &Value) -> String {
    let kind = event["type"].as_str().unwrap_or_default();
    format!("event: {kind}\ndata: {event}\n\n")
}
