//! What the fake model answers, and how that looks on the wire.

use std::time::Duration;

use serde_json::{Value, json};

/// One scripted answer to one request.
#[derive(Debug, Clone)]
pub struct Reply {
    pub(super) delay: Duration,
    pub(super) together: usize,
    pub(super) headers: Vec<(&'static str, String)>,
    /// What is said first.
    pub(super) before: Option<String>,
    pub(super) body: Body,
}

#[derive(Debug, Clone)]
pub(super) enum Body {
    /// A complete answer.
    Text(String),
    /// A wish to run a shell command, so many times at once; the model is asked again with the output.
    Command { line: String, escalated: bool, count: usize },
    /// A wish to call any other tool; the model is asked again with the output.
    Call { name: String, arguments: Value },
    /// An answer after a search that has opened a page.
    Search { url: String, text: String },
    /// An HTTP error instead of a stream.
    Status { code: u16, message: String, kind: String },
    /// A stream that says this much and then ends without completing.
    Cut(String),
    /// A stream that ends in `response.failed` with this code.
    Failed { code: String, message: String },
}

impl Reply {
    /// Answers with `text`.
    pub fn text(text: impl Into<String>) -> Self {
        Self::from(Body::Text(text.into()))
    }

    /// Asks Codex to run `line` in a shell, under the session's sandbox.
    pub fn command(line: impl Into<String>) -> Self {
        Self::from(Body::Command { line: line.into(), escalated: false, count: 1 })
    }

    /// Asks Codex to run `line` outside the sandbox, which needs an approval.
    pub fn escalated_command(line: impl Into<String>) -> Self {
        Self::from(Body::Command { line: line.into(), escalated: true, count: 1 })
    }

    /// Asks Codex to run `line` outside the sandbox twice at once: two approvals.
    pub fn escalated_twice(line: impl Into<String>) -> Self {
        Self::from(Body::Command { line: line.into(), escalated: true, count: 2 })
    }

    /// Asks Codex to call a tool of its own.
    pub fn call(name: impl Into<String>, arguments: Value) -> Self {
        Self::from(Body::Call { name: name.into(), arguments })
    }

    /// Answers with `text` after having opened the page at `url`.
    pub fn searched(url: impl Into<String>, text: impl Into<String>) -> Self {
        Self::from(Body::Search { url: url.into(), text: text.into() })
    }

    /// Answers with an HTTP status and an error of the API's shape.
    pub fn status(code: u16, message: impl Into<String>) -> Self {
        Self::from(Body::Status { code, message: message.into(), kind: "mock_error".into() })
    }

    /// Refuses because the account's allowance is used up until then (a Unix time).
    pub fn usage_limit(resets_at: i64) -> Self {
        Self::from(Body::Status {
            code: 429,
            message: format!("The usage limit has been reached until {resets_at}"),
            kind: "usage_limit_reached".into(),
        })
        .with_rate_limit(100, resets_at)
    }

    /// Sends `text` as a delta, then ends the stream before it is complete.
    pub fn cut(text: impl Into<String>) -> Self {
        Self::from(Body::Cut(text.into()))
    }

    /// Ends the stream with `response.failed`, as the API does for a full context window.
    pub fn failed(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::from(Body::Failed { code: code.into(), message: message.into() })
    }

    /// Waits before the answer; text that streams has begun by then.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Says this first.
    #[must_use]
    pub fn saying(mut self, text: impl Into<String>) -> Self {
        self.before = Some(text.into());
        self
    }

    /// Waits until this many such answers are wanted at the same time, then gives them all.
    #[must_use]
    pub fn together(mut self, count: usize) -> Self {
        self.together = count;
        self
    }

    /// Says how much of the account's allowance is used, in percent, and when it is back (a Unix time).
    #[must_use]
    pub fn with_rate_limit(mut self, used_percent: u32, resets_at: i64) -> Self {
        self.headers = vec![
            ("x-codex-primary-used-percent", used_percent.to_string()),
            ("x-codex-primary-window-minutes", "300".to_owned()),
            ("x-codex-primary-reset-at", resets_at.to_string()),
        ];
        self
    }

    /// The events that precede the delay.
    pub(super) fn opening(&self, id: &str) -> Vec<Value> {
        let mut events = vec![
            json!({"type": "response.created", "response": {"id": id, "status": "in_progress"}}),
        ];
        let text = match (&self.before, &self.body) {
            (Some(text), _) | (None, Body::Text(text)) => Some(text),
            _ => None,
        };
        if let Some(text) = text.filter(|_| !self.delay.is_zero()) {
            let first: String = text.chars().take(8).collect();
            events.push(added(id));
            events.push(delta(id, &first));
        }
        events
    }

    /// The events that follow it.
    pub(super) fn closing(&self, id: &str, tools: &[&str]) -> Vec<Value> {
        let mut events = Vec::new();
        if let Some(text) = &self.before {
            events.extend(self.rest_of(id, text));
        }
        events.extend(self.body(id, tools));
        events
    }

    /// The end of a text that has begun if there is a delay.
    fn rest_of(&self, id: &str, text: &str) -> Vec<Value> {
        let begun = if self.delay.is_zero() { 0 } else { 8 };
        let rest: String = text.chars().skip(begun).collect();
        let opening = self.delay.is_zero().then(|| added(id));
        opening.into_iter().chain([delta(id, &rest), done(&message(id, text))]).collect()
    }

    fn body(&self, id: &str, tools: &[&str]) -> Vec<Value> {
        match &self.body {
            Body::Text(text) => {
                let mut events = self.rest_of(id, text);
                events.push(completed(id));
                events
            }
            Body::Command { line, escalated, count } => {
                let call = |n| done(&shell_call(&format!("{id}_{n}"), line, *escalated, tools));
                (0..*count).map(call).chain([completed(id)]).collect()
            }
            Body::Call { name, arguments } => {
                vec![done(&function_call(id, name, arguments)), completed(id)]
            }
            Body::Search { url, text } => vec![
                done(&json!({
                    "type": "web_search_call", "id": format!("ws_{id}"), "status": "completed",
                    "action": {"type": "open_page", "url": url},
                })),
                done(&message(id, text)),
                completed(id),
            ],
            Body::Cut(text) => vec![added(id), delta(id, text)],
            Body::Failed { code, message } => vec![json!({
                "type": "response.failed",
                "response": {"id": id, "status": "failed", "error": {"code": code, "message": message}},
            })],
            Body::Status { .. } => Vec::new(),
        }
    }
}

impl From<Body> for Reply {
    fn from(body: Body) -> Self {
        Self { delay: Duration::ZERO, together: 1, headers: Vec::new(), before: None, body }
    }
}

/// A call of whichever shell tool this version of Codex offers.
fn shell_call(id: &str, line: &str, escalated: bool, tools: &[&str]) -> Value {
    let (name, mut arguments) = if tools.contains(&"exec_command") {
        ("exec_command", json!({"cmd": line, "yield_time_ms": 30000}))
    } else if tools.contains(&"shell_command") {
        ("shell_command", json!({"command": line}))
    } else {
        ("shell", json!({"command": ["bash", "-lc", line]}))
    };
    if escalated {
        arguments["sandbox_permissions"] = json!("require_escalated");
        arguments["with_escalated_permissions"] = json!(true);
        arguments["justification"] = json!("the script asks for it");
    }
    function_call(id, name, &arguments)
}

/// A name may have a namespace before a dot, as tools of MCP servers do.
fn function_call(id: &str, name: &str, arguments: &Value) -> Value {
    let (namespace, name) = name.split_once('.').map_or((None, name), |(n, m)| (Some(n), m));
    let mut call = json!({
        "type": "function_call", "id": format!("fc_{id}"), "call_id": format!("call_{id}"),
        "name": name, "arguments": arguments.to_string(),
    });
    if let Some(namespace) = namespace {
        call["namespace"] = namespace.into();
    }
    call
}

fn message(id: &str, text: &str) -> Value {
    json!({
        "type": "message", "id": format!("msg_{id}"), "role": "assistant",
        "content": [{"type": "output_text", "text": text}],
    })
}

fn added(id: &str) -> Value {
    json!({
        "type": "response.output_item.added", "output_index": 0,
        "item": {"type": "message", "id": format!("msg_{id}"), "role": "assistant", "content": []},
    })
}

fn delta(id: &str, text: &str) -> Value {
    json!({
        "type": "response.output_text.delta", "item_id": format!("msg_{id}"),
        "output_index": 0, "content_index": 0, "delta": text,
    })
}

fn done(item: &Value) -> Value {
    json!({"type": "response.output_item.done", "output_index": 0, "item": item})
}

fn completed(id: &str) -> Value {
    json!({
        "type": "response.completed",
        "response": {"id": id, "status": "completed", "output": [], "usage": {
            "input_tokens": 100, "input_tokens_details": {"cached_tokens": 10},
            "output_tokens": 20, "output_tokens_details": {"reasoning_tokens": 5},
            "total_tokens": 120,
        }},
    })
}
