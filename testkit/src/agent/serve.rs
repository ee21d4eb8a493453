//! The HTTP side of a client's model.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{Router, body::Bytes, extract::State, http::header, response::IntoResponse};
use serde_json::Value;
use tokio::task::JoinHandle;

use super::Dialect;

/// What the stand-in says once everything was called.
const LAST: &str = "done";

/// A call of a tool.
#[derive(Debug, Clone)]
pub struct ToolUse {
    /// The tool's own name.
    pub name: String,
    /// Its arguments.
    pub arguments: Value,
    /// Whether it is one of the client's own, not of the MCP server.
    pub is_own: bool,
}

impl ToolUse {
    /// A call of `name` with these arguments.
    pub fn new(name: &str, arguments: Value) -> Self {
        Self { name: name.to_owned(), arguments, is_own: false }
    }

    /// A call of a tool of the client's own.
    pub fn own(name: &str, arguments: Value) -> Self {
        Self { is_own: true, ..Self::new(name, arguments) }
    }
}

/// A running stand-in. Dropping it ends the server.
#[derive(Debug)]
pub struct Agent {
    address: SocketAddr,
    plan: Arc<Plan>,
    server: JoinHandle<()>,
}

#[derive(Debug)]
struct Plan {
    dialect: Dialect,
    /// The name the client knows the MCP server by.
    server: String,
    calls: Vec<ToolUse>,
    /// What the client has shown of the results.
    shown: Mutex<Vec<String>>,
    /// All that the client has said, as it was said.
    heard: Mutex<Vec<String>>,
}

impl Agent {
    /// Starts one on a free loopback port that has its client make these calls.
    pub async fn start(dialect: Dialect, server: &str, calls: Vec<ToolUse>) -> Self {
        let listener =
            tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("bind a loopback port");
        let address = listener.local_addr().expect("a bound port");
        let server = server.to_owned();
        let plan = Arc::new(Plan {
            dialect,
            server,
            calls,
            shown: Mutex::default(),
            heard: Mutex::default(),
        });
        let app = Router::new().fallback(answer).with_state(Arc::clone(&plan));
        let server = tokio::spawn(async move {
            axum::serve(listener, app).await.expect("serve on loopback");
        });
        Self { address, plan, server }
    }

    /// Where it listens, without a path.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What the client has shown it of the results, one for each call that was made.
    pub fn shown(&self) -> Vec<String> {
        self.plan.shown.lock().expect("not poisoned").clone()
    }

    /// Whether the client has ever said this to it, in whatever place.
    pub fn has_heard(&self, text: &str) -> bool {
        let heard = self.plan.heard.lock().expect("not poisoned");
        heard.iter().any(|request| request.contains(text))
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// How far things are is told by the request itself, so one that is sent again gets the same answer.
async fn answer(State(plan): State<Arc<Plan>>, body: Bytes) -> impl IntoResponse {
    let request: Value = serde_json::from_slice(&body).unwrap_or_default();
    let text = String::from_utf8_lossy(&body).into_owned();
    plan.heard.lock().expect("not poisoned").push(text);
    let results = plan.dialect.results(&request);
    let number = results.len();
    let stream = match plan.calls.get(number) {
        Some(call) => plan.dialect.call(&plan.server, number, call),
        None => plan.dialect.say(number, LAST),
    };
    let mut shown = plan.shown.lock().expect("not poisoned");
    if number > shown.len() {
        *shown = results;
    }
    ([(header::CONTENT_TYPE, "text/event-stream")], stream)
}
