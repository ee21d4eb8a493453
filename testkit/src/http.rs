//! A server over HTTP, and a small client of it, for both eras of the protocol.

use std::{
    process::ExitStatus,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use futures_util::{StreamExt, stream::BoxStream};
pub use reqwest::Method;
use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::Child,
};

use crate::{Launch, ToolResult};

/// The revision that needs no handshake.
pub const MODERN: &str = "2026-07-28";

/// One that begins with a handshake.
pub const OLDER: &str = "2025-11-25";

/// A server process that listens for HTTP.
#[derive(Debug)]
pub struct HttpServer {
    child: Child,
    url: String,
    stderr: Arc<Mutex<String>>,
}

/// One client of it.
#[derive(Debug, Clone)]
pub struct HttpClient {
    http: reqwest::Client,
    url: String,
    token: Option<String>,
    revision: &'static str,
    mcp_session: Option<String>,
    next_id: Arc<AtomicU64>,
}

impl HttpServer {
    /// Starts a server, which `launch` says how to, and waits until it listens.
    pub async fn start(launch: &Launch) -> Self {
        let mut child = launch.command().spawn().expect("start the server");
        let stderr = Arc::new(Mutex::new(String::new()));
        let mut pipe = child.stderr.take().expect("a piped stderr");
        let heard = Arc::clone(&stderr);
        tokio::spawn(async move {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = pipe.read(&mut buffer).await {
                let text = String::from_utf8_lossy(&buffer[..count]).into_owned();
                heard.lock().expect("unpoisoned").push_str(&text);
            }
        });
        let mut lines = BufReader::new(child.stdout.take().expect("a piped stdout")).lines();
        let line = lines.next_line().await.expect("read the address");
        let Some(url) = line else {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            panic!("it does not listen: {}", stderr.lock().expect("unpoisoned"));
        };
        Self { child, url, stderr }
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The port it listens on.
    ///
    /// # Panics
    /// If its address has none.
    pub fn port(&self) -> u16 {
        let address = self.url.split("//").nth(1).and_then(|rest| rest.split('/').next());
        let port = address.and_then(|address| address.rsplit(':').next());
        port.and_then(|port| port.parse().ok()).expect("an address with a port")
    }

    /// Another path of it.
    pub fn beside(&self, path: &str) -> String {
        let (root, _) = self.url.rsplit_once('/').expect("a URL with a path");
        format!("{root}{path}")
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id().expect("a living child")
    }

    /// What it has logged.
    pub fn stderr(&self) -> String {
        self.stderr.lock().expect("unpoisoned").clone()
    }

    /// Waits until it has ended.
    pub async fn ended(&mut self) -> ExitStatus {
        self.child.wait().await.expect("wait for the server")
    }

    /// A client with this token.
    pub fn client(&self, token: Option<&str>) -> HttpClient {
        HttpClient {
            http: http_client(),
            url: self.url.clone(),
            token: token.map(str::to_owned),
            revision: MODERN,
            mcp_session: None,
            next_id: Arc::new(AtomicU64::new(1)),
        }
    }

    /// The same after a handshake, as a client of the older era.
    pub async fn older_client(&self, token: Option<&str>) -> HttpClient {
        let mut client = HttpClient { revision: OLDER, ..self.client(token) };
        client.shake_hands().await.expect("a handshake");
        client
    }

    /// The same with these capabilities.
    ///
    /// # Panics
    /// If the handshake is refused.
    pub async fn older_client_as(&self, token: Option<&str>, capabilities: Value) -> HttpClient {
        let mut client = HttpClient { revision: OLDER, ..self.client(token) };
        client.shake_hands_as(capabilities).await.expect("a handshake");
        client
    }

    /// The same, without a token, whose user can be asked.
    pub async fn older_client_with_user(&self) -> HttpClient {
        let mut client = HttpClient { revision: OLDER, ..self.client(None) };
        client.shake_hands_as(json!({"elicitation": {}})).await.expect("a handshake");
        client
    }
}

impl HttpClient {
    /// A client of the newer era, without a token, of whatever answers there.
    pub fn of(url: &str) -> Self {
        Self { revision: MODERN, ..Self::older_without_session(url) }
    }

    /// A client of the older era of a server that keeps no MCP sessions.
    pub fn older_without_session(url: &str) -> Self {
        Self {
            http: http_client(),
            url: url.to_owned(),
            token: None,
            revision: OLDER,
            mcp_session: None,
            next_id: Arc::new(AtomicU64::new(1)),
        }
    }

    /// Shakes hands, as clients of the older era do.
    ///
    /// # Errors
    /// The status, if it is refused.
    pub async fn shake_hands(&mut self) -> Result<(), u16> {
        self.shake_hands_as(json!({})).await
    }

    async fn shake_hands_as(&mut self, capabilities: Value) -> Result<(), u16> {
        self.mcp_session = None;
        self.revision = OLDER;
        let about = json!({"name": "testkit", "version": "1"});
        let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params":
            {"protocolVersion": OLDER, "capabilities": capabilities, "clientInfo": about}});
        let response = self.request(Method::POST).body(hello.to_string()).send().await;
        let response = response.expect("an answer");
        if !response.status().is_success() {
            return Err(response.status().as_u16());
        }
        let id = response.headers().get("mcp-session-id").expect("an MCP session");
        self.mcp_session = Some(id.to_str().expect("text").to_owned());
        answer(response, 0).await;
        let ready = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        self.request(Method::POST).body(ready.to_string()).send().await.expect("an answer");
        Ok(())
    }

    /// The same client over other connections, such as those that trust an authority of the tests.
    #[must_use]
    pub fn over(&self, http: reqwest::Client) -> Self {
        Self { http, ..self.clone() }
    }

    /// The MCP session it is in.
    pub fn mcp_session(&self) -> Option<&str> {
        self.mcp_session.as_deref()
    }

    /// The same client, whose next request another server gets.
    #[must_use]
    pub fn through(&self, server: &HttpServer) -> Self {
        Self { url: server.url().to_owned(), ..self.clone() }
    }

    /// The same client in another MCP session.
    #[must_use]
    pub fn in_mcp_session(&self, id: &str) -> Self {
        Self { mcp_session: Some(id.to_owned()), revision: OLDER, ..self.clone() }
    }

    /// A request with the headers that every one of this client has.
    pub fn request(&self, method: Method) -> RequestBuilder {
        let mut request = self.http.request(method, &self.url);
        request = request.header("Content-Type", "application/json");
        request = request.header("Accept", "application/json, text/event-stream");
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        if let Some(session) = &self.mcp_session {
            request = request.header("Mcp-Session-Id", session);
        }
        if self.revision == MODERN || self.mcp_session.is_some() {
            request = request.header("MCP-Protocol-Version", self.revision);
        }
        request
    }

    /// Posts a message that nothing answers, such as an answer.
    ///
    /// # Panics
    /// If it is not accepted.
    pub async fn post(&self, message: &Value) {
        let sent = self.request(Method::POST).body(message.to_string()).send().await;
        assert_eq!(sent.expect("an answer").status(), 202, "{message}");
    }

    /// The stream of what has nothing to do with a call.
    ///
    /// # Panics
    /// If there is none.
    pub async fn listen(&self) -> MessageStream {
        let response = self.request(Method::GET).send().await.expect("an answer");
        assert!(response.status().is_success(), "{response:?}");
        MessageStream::of(response)
    }

    /// Sends a request and returns what came back at once, its answer not yet read.
    pub async fn send(&self, method: &str, params: Value) -> (u64, Response) {
        let (id, request) = self.prepare(method, params);
        (id, request.send().await.expect("an answer"))
    }

    /// Calls a tool and returns its result, if there is one: the connection may be lost, or the server gone.
    pub async fn try_call(&self, tool: &str, arguments: Value) -> Option<ToolResult> {
        let (id, request) =
            self.prepare("tools/call", json!({"name": tool, "arguments": arguments}));
        let answer = try_answer(request.send().await.ok()?, id).await?;
        answer.get("result").is_some().then(|| ToolResult::from_response(tool, &answer))
    }

    fn prepare(&self, method: &str, mut params: Value) -> (u64, RequestBuilder) {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let mut request = self.request(Method::POST);
        if self.revision == MODERN {
            request = request.header("Mcp-Method", method);
            let name = params.get("name").or(params.get("uri")).or(params.get("taskId"));
            if let Some(name) = name.and_then(Value::as_str) {
                request = request.header("Mcp-Name", name);
            }
            let about = json!({"name": "testkit", "version": "1"});
            let mut meta = params["_meta"].as_object().cloned().unwrap_or_default();
            for (key, value) in [
                ("protocolVersion", json!(MODERN)),
                ("clientInfo", about),
                ("clientCapabilities", json!({})),
            ] {
                meta.entry(format!("io.modelcontextprotocol/{key}")).or_insert(value);
            }
            params["_meta"] = Value::Object(meta);
        }
        let body = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        (id, request.body(body.to_string()))
    }

    /// Sends a request and returns the whole response: `result` or `error`. What is refused before that is its status and
    /// body.
    pub async fn ask(&self, method: &str, params: Value) -> Value {
        let (id, response) = self.send(method, params).await;
        answer(response, id).await
    }

    /// Calls a tool and returns its result.
    pub async fn call(&self, tool: &str, arguments: Value) -> ToolResult {
        let answer = self.ask("tools/call", json!({"name": tool, "arguments": arguments})).await;
        ToolResult::from_response(tool, &answer)
    }
}

/// The message that answers the request of this id.
///
/// # Panics
/// If the stream ends without it.
pub async fn answer(response: Response, id: u64) -> Value {
    try_answer(response, id).await.unwrap_or_else(|| panic!("no answer to {id}"))
}

/// The same. `None` if the stream ends without it.
async fn try_answer(response: Response, id: u64) -> Option<Value> {
    let status = response.status();
    let kind = response.headers().get("content-type").cloned();
    if !kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream")) {
        let text = response.text().await.unwrap_or_default();
        let body: Value = serde_json::from_str(&text).unwrap_or(Value::String(text));
        if body["jsonrpc"] == "2.0" {
            return Some(body);
        }
        return Some(json!({"status": status.as_u16(), "body": body}));
    }
    let mut messages = MessageStream::of(response);
    while let Some(message) = messages.next().await {
        if message["id"] == id && message.get("method").is_none() {
            return Some(message);
        }
    }
    None
}

/// The messages of a response that goes on, as they come.
pub struct MessageStream {
    stream: BoxStream<'static, Option<Vec<u8>>>,
    text: String,
}

impl MessageStream {
    /// Those of a response.
    pub fn of(response: Response) -> Self {
        let bytes = response.bytes_stream().map(|bytes| bytes.ok().map(|bytes| bytes.to_vec()));
        Self { stream: bytes.boxed(), text: String::new() }
    }

    /// The next one; `None` at the end.
    pub async fn next(&mut self) -> Option<Value> {
        loop {
            while let Some((line, _)) = self.text.split_once('\n') {
                let data = line.strip_prefix("data: ");
                let message = data.and_then(|data| serde_json::from_str(data).ok());
                self.text.drain(..=line.len());
                if message.is_some() {
                    return message;
                }
            }
            self.text += &String::from_utf8_lossy(&self.stream.next().await??);
        }
    }

    /// The next one of this method.
    ///
    /// # Panics
    /// If there is none for long.
    pub async fn next_of(&mut self, method: &str) -> Value {
        let found = async {
            while let Some(message) = self.next().await {
                if message["method"] == method {
                    return message;
                }
            }
            panic!("the stream ended without {method}")
        };
        let found = tokio::time::timeout(crate::wait::DEADLINE, found).await;
        found.unwrap_or_else(|_| panic!("waited in vain for {method}"))
    }
}

/// A client of servers on loopback.
///
/// # Panics
/// If there is no cryptography.
pub fn http_client() -> reqwest::Client {
    // Another test may have been first with the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

/// The text of a page.
///
/// # Panics
/// If there is none.
pub async fn page(url: &str) -> String {
    http_client().get(url).send().await.expect("an answer").text().await.expect("text")
}

/// The status of a page. 0 if there is no answer.
pub async fn get(url: &str) -> u16 {
    match http_client().get(url).send().await {
        Ok(response) => response.status().as_u16(),
        Err(_) => 0,
    }
}
