//! Checks of a remote server over HTTP, as its clients see it.

use std::time::Duration;

use reqwest::{Client, Response, StatusCode, header};
use serde_json::{Value, json};

use super::checks::Checks;
use crate::serve::http::{client, is_private};

/// How long the server may take for each answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// The revision of MCP that needs no handshake.
const REVISION: &str = "2026-07-28";

/// Checks the server whose endpoint is at this URL, with a token if there is one.
pub(super) async fn check(endpoint: &str, token: Option<&str>) -> Checks {
    let mut checks = Checks::default();
    let server = match (url::Url::parse(endpoint), client(ANSWER_TIMEOUT)) {
        (Ok(url), Ok(http)) if matches!(url.scheme(), "http" | "https") => Remote { http, url },
        (_, Err(error)) => {
            checks.failed("url", chain(&error), "there is no TLS on this machine".to_owned());
            return checks;
        }
        _ => {
            let fix = "name the endpoint, such as https://codex.example/mcp".to_owned();
            checks.failed("url", format!("`{endpoint}` is none of a server"), fix);
            return checks;
        }
    };
    if is_private(endpoint) {
        checks.ok("url", endpoint.to_owned());
    } else {
        let detail = format!("{endpoint}: whoever is on the way can read tokens and answers");
        checks.warning(
            "url",
            detail,
            "serve with `http.tls_certificate`, or by a proxy with TLS".to_owned(),
        );
    }
    if server.health(&mut checks).await {
        server.authentication(&mut checks).await;
        server.tools(&mut checks, token).await;
    }
    checks
}

struct Remote {
    http: Client,
    url: url::Url,
}

impl Remote {
    /// Whether there is a server, and it takes calls.
    async fn health(&self, checks: &mut Checks) -> bool {
        let get = async |path: &str| {
            let mut url = self.url.clone();
            url.set_path(path);
            self.http.get(url).send().await
        };
        match get("/healthz").await {
            Err(error) => {
                let fix = "is it running, is its name right, and does a firewall let you through?";
                checks.failed("server", chain(&error), fix.to_owned());
                return false;
            }
            Ok(response) if response.status().is_success() => {
                checks.ok("server", "it answers".to_owned());
            }
            Ok(response) => {
                let detail = format!("/healthz says {}", response.status());
                let fix = "is it another server, or does a proxy keep /healthz to itself?";
                checks.warning("server", detail, fix.to_owned());
            }
        }
        match get("/readyz").await {
            Ok(response) if response.status() == StatusCode::SERVICE_UNAVAILABLE => {
                let why = response.text().await.unwrap_or_default();
                let fix = "wait if it is being restarted; else its log says more";
                checks.failed("readiness", why.trim().to_owned(), fix.to_owned());
            }
            Ok(response) if response.status().is_success() => {
                checks.ok("readiness", "it takes calls".to_owned());
            }
            // The check before has said so.
            _ => {}
        }
        true
    }

    /// What callers without a token get.
    async fn authentication(&self, checks: &mut Checks) {
        let response = match self.ask("server/discover", json!({}), None).await {
            Ok(response) => response,
            Err(error) => {
                return checks.failed("authentication", chain(&error), "call again".to_owned());
            }
        };
        let challenge = response.headers().get(header::WWW_AUTHENTICATE);
        let challenge = challenge.and_then(|value| value.to_str().ok()).unwrap_or_default();
        match response.status() {
            StatusCode::UNAUTHORIZED if challenge.contains("resource_metadata") => {
                let detail = "a token is needed; clients can log in by themselves";
                checks.ok("authentication", detail.to_owned());
            }
            StatusCode::UNAUTHORIZED => {
                checks.ok("authentication", "a token of the server's own is needed".to_owned());
            }
            status if status.is_success() => checks.warning(
                "authentication",
                "everybody who can connect is the operator".to_owned(),
                "serve without `--no-auth` unless that is a loopback address of yours alone".to_owned(),
            ),
            StatusCode::FORBIDDEN => not_its_name(checks),
            StatusCode::NOT_FOUND => checks.failed(
                "authentication",
                format!("there is no endpoint at {}", self.url.path()),
                "use the URL that the server prints when it starts; the path is /mcp unless changed".to_owned(),
            ),
            status => checks.failed(
                "authentication",
                format!("it says {status}"),
                "is it another server, or a proxy that knows it not?".to_owned(),
            ),
        }
    }

    /// What a caller with this token can do.
    async fn tools(&self, checks: &mut Checks, token: Option<&str>) {
        let Some(token) = token else {
            let fix = "pass `--token-env NAME` to try a token".to_owned();
            return checks.warning("token", "none was given; calls were not tried".to_owned(), fix);
        };
        let response = match self.ask("tools/list", json!({}), Some(token)).await {
            Ok(response) => response,
            Err(error) => return checks.failed("token", chain(&error), "call again".to_owned()),
        };
        let status = response.status();
        let said = message(response).await;
        let text = |key: &str| said.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        if status == StatusCode::FORBIDDEN && said.is_null() {
            return not_its_name(checks);
        }
        if !status.is_success() {
            return checks.failed(
                "token",
                format!("{status}: {}", text("error_description")),
                text("next"),
            );
        }
        let tools = said.pointer("/result/tools").and_then(Value::as_array).map_or(0, Vec::len);
        if tools == 0 {
            let fix = "is it another server? Its log says more".to_owned();
            return checks.failed("token", "its answer names no tools".to_owned(), fix);
        }
        checks.ok("token", format!("good; {tools} tools"));
        let call = json!({"name": "help", "arguments": {}});
        let begun = tokio::time::Instant::now();
        let answer = match self.ask("tools/call", call, Some(token)).await {
            Ok(response) => message(response).await,
            Err(error) => return checks.failed("call", chain(&error), "call again".to_owned()),
        };
        let codex =
            answer.pointer("/result/structuredContent/codex/version").and_then(Value::as_str);
        let took = begun.elapsed().as_millis();
        match codex {
            Some(version) => {
                checks.ok("call", format!("Codex {version} works there; {took} ms for a call"));
            }
            None => checks.warning(
                "call",
                "it does not say which Codex it has".to_owned(),
                "the operator runs `codex-mcp-server doctor` there".to_owned(),
            ),
        }
    }

    async fn ask(
        &self,
        method: &str,
        mut params: Value,
        token: Option<&str>,
    ) -> reqwest::Result<Response> {
        let about = json!({"name": "doctor", "version": env!("CARGO_PKG_VERSION")});
        let meta = json!({
            "io.modelcontextprotocol/protocolVersion": REVISION,
            "io.modelcontextprotocol/clientInfo": about,
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let named = params.get("name").and_then(Value::as_str).map(str::to_owned);
        if let Some(params) = params.as_object_mut() {
            params.insert("_meta".to_owned(), meta);
        }
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let mut request = self
            .http
            .post(self.url.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "application/json, text/event-stream")
            .header("MCP-Protocol-Version", REVISION)
            .header("Mcp-Method", method)
            .body(body.to_string());
        if let Some(name) = named {
            request = request.header("Mcp-Name", name);
        }
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        request.send().await
    }
}

fn not_its_name(checks: &mut Checks) {
    let fix = "the operator adds the name to `http.hosts`, or sets `http.base_url`".to_owned();
    checks.failed("name", "it does not answer to this name".to_owned(), fix);
}

/// The message in an answer: all of it, or the last event of a stream. Null if there is none.
async fn message(response: Response) -> Value {
    let text = response.text().await.unwrap_or_default();
    let whole = serde_json::from_str(&text);
    whole.unwrap_or_else(|_| {
        let events = text.lines().filter_map(|line| line.strip_prefix("data:"));
        events.rev().find_map(|data| serde_json::from_str(data).ok()).unwrap_or_default()
    })
}

/// An error and its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
