//! What traces are sent to.

use std::sync::{Arc, Mutex};

use axum::{Json, Router, extract::State, routing::post};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// A collector of traces on loopback.
#[derive(Debug)]
pub struct Collector {
    url: String,
    bodies: Arc<Mutex<Vec<Value>>>,
}

impl Collector {
    /// Starts one.
    ///
    /// # Panics
    /// If it cannot listen.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/v1/traces", listener.local_addr().expect("an address"));
        let bodies = Arc::new(Mutex::default());
        let routes = Router::new().route("/v1/traces", post(take)).with_state(Arc::clone(&bodies));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { url, bodies }
    }

    /// Where it takes traces.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The spans so far, in the order in which they ended.
    ///
    /// # Panics
    /// If a test has panicked meanwhile.
    pub fn spans(&self) -> Vec<Value> {
        let bodies = self.bodies.lock().expect("unpoisoned");
        let list = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
        let resources = bodies.iter().flat_map(|body| list(body, "resourceSpans"));
        let scopes = resources.flat_map(|resource| list(&resource, "scopeSpans"));
        scopes.flat_map(|scope| list(&scope, "spans")).collect()
    }
}

async fn take(
    State(bodies): State<Arc<Mutex<Vec<Value>>>>,
    Json(body): Json<Value>,
) -> Json<Value> {
    bodies.lock().expect("unpoisoned").push(body);
    Json(json!({}))
}
