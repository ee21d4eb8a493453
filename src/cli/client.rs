//! The terminal as a client of the server, in this process or another: the same protocol, the same tools, the same
//! answers. Knows nothing of what they mean.

use serde_json::{Map, Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, Lines},
    task::JoinHandle,
};

use super::terminal::Terminal;
use crate::{mcp::TERMINAL, serve::Streams};

/// The newest revision in which a server asks while a call runs.
const REVISION: &str = "2025-11-25";

/// The longest message the server reads, and something to spare.
const LONGEST: usize = 15 * 1024 * 1024;

/// Why a call got no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The server ended.
    #[error("the server ended without an answer")]
    Gone(#[source] Option<std::io::Error>),
    /// The server refused the call with a protocol error.
    #[error("{0}")]
    Refused(String),
}

/// What a tool answered.
#[derive(Debug, Clone, Default)]
pub(super) struct ToolOutput {
    pub(super) structured: Map<String, Value>,
    pub(super) text: String,
    pub(super) is_error: bool,
}

/// A connection that makes one call at a time.
pub(super) struct Client {
    lines: Lines<BufReader<Box<dyn AsyncRead + Send + Unpin>>>,
    writer: Box<dyn AsyncWrite + Send + Unpin>,
    next: u64,
}

/// A tool that answers in pages, and the names of the fields that page through them.
pub(super) struct Paged {
    pub(super) tool: &'static str,
    pub(super) items: &'static str,
    pub(super) next: &'static str,
    pub(super) argument: &'static str,
}

impl ToolOutput {
    /// A field of the structured form, as text.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        self.structured.get(name)?.as_str()
    }
}

impl Client {
    /// Connects and completes the handshake.
    pub(super) async fn begin(streams: Streams, can_ask: bool) -> Result<Self, ClientError> {
        let Streams { reader, writer } = streams;
        let mut client = Self { lines: BufReader::new(reader).lines(), writer, next: 0 };
        let capabilities = if can_ask { json!({"elicitation": {}}) } else { json!({}) };
        let about = json!({"name": TERMINAL, "version": env!("CARGO_PKG_VERSION")});
        let hello =
            json!({"protocolVersion": REVISION, "capabilities": capabilities, "clientInfo": about});
        client.request("initialize", hello, &mut Terminal::silent()).await?;
        client.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await?;
        Ok(client)
    }

    /// Calls a tool. Shows its progress and asks the user its questions.
    pub(super) async fn call(
        &mut self,
        tool: &str,
        arguments: Map<String, Value>,
        terminal: &mut Terminal,
    ) -> Result<ToolOutput, ClientError> {
        let params =
            json!({"name": tool, "arguments": arguments, "_meta": {"progressToken": "terminal"}});
        let mut result = self.request("tools/call", params, terminal).await?;
        let structured = match result.get_mut("structuredContent").map(Value::take) {
            Some(Value::Object(fields)) => fields,
            _ => Map::new(),
        };
        let text = result.pointer("/content/0/text").and_then(Value::as_str).unwrap_or_default();
        let is_error = result.get("isError").and_then(Value::as_bool).unwrap_or_default();
        Ok(ToolOutput { structured, text: text.to_owned(), is_error })
    }

    /// Calls a tool for all its pages and returns the first with the items of all.
    pub(super) async fn every_page(
        &mut self,
        paged: &Paged,
        mut arguments: Map<String, Value>,
        terminal: &mut Terminal,
    ) -> Result<ToolOutput, ClientError> {
        let Paged { tool, items, next, argument } = *paged;
        let mut whole = self.call(tool, arguments.clone(), terminal).await?;
        while let Some(place) = whole.structured.remove(next) {
            arguments.insert(argument.to_owned(), place);
            let mut page = self.call(tool, arguments.clone(), terminal).await?;
            if page.is_error {
                return Ok(page);
            }
            let more = page.structured.get_mut(items).and_then(Value::as_array_mut);
            if let (Some(Value::Array(all)), Some(more)) = (whole.structured.get_mut(items), more) {
                all.append(more);
            }
            let place = page.structured.remove(next);
            whole.structured.extend(place.map(|place| (next.to_owned(), place)));
        }
        Ok(whole)
    }

    async fn request(
        &mut self,
        method: &str,
        params: Value,
        terminal: &mut Terminal,
    ) -> Result<Value, ClientError> {
        self.next += 1;
        let id = self.next;
        let request = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        self.send(&request).await?;
        let mut question: Option<(Value, JoinHandle<Value>)> = None;
        loop {
            let message = tokio::select! {
                line = self.lines.next_line() => match line {
                    Ok(Some(line)) => serde_json::from_str::<Value>(&line).unwrap_or_default(),
                    Ok(None) => return Err(ClientError::Gone(None)),
                    Err(error) => return Err(ClientError::Gone(Some(error))),
                },
                (asked, answer) = answered(&mut question) => {
                    question = None;
                    terminal.go_on();
                    self.send(&json!({"jsonrpc": "2.0", "id": asked, "result": answer})).await?;
                    continue;
                }
            };
            let params = message.get("params").cloned().unwrap_or_default();
            match message.get("method").and_then(Value::as_str) {
                Some("notifications/progress") => {
                    terminal
                        .tell(params.get("message").and_then(Value::as_str).unwrap_or_default());
                }
                Some("elicitation/create") => {
                    let asked = message.get("id").cloned().unwrap_or_default();
                    question = Some((asked, terminal.ask(params)));
                }
                Some("notifications/cancelled") => {
                    let asked = question.as_ref().map(|(id, _)| id);
                    if asked.is_some() && asked == params.get("requestId") {
                        question = None;
                        terminal.go_on();
                        terminal.say("(it needs no answer any more)");
                    }
                }
                _ if message.get("id") == Some(&id.into()) => return answer(message),
                _ => {}
            }
        }
    }

    async fn send(&mut self, message: &Value) -> Result<(), ClientError> {
        let line = format!("{message}\n");
        if line.len() > LONGEST {
            let size = line.len() / (1024 * 1024);
            return Err(ClientError::Refused(format!(
                "it is {size} MiB in all; put long material into a file and name the file"
            )));
        }
        let written = self.writer.write_all(line.as_bytes()).await;
        written.map_err(|error| ClientError::Gone(Some(error)))
    }
}

/// Waits for the answer to the open question. Never returns if there is none.
async fn answered(question: &mut Option<(Value, JoinHandle<Value>)>) -> (Value, Value) {
    match question {
        Some((id, answer)) => {
            let answer = answer.await.unwrap_or_else(|_| json!({"action": "cancel"}));
            (id.clone(), answer)
        }
        None => std::future::pending().await,
    }
}

fn answer(mut message: Value) -> Result<Value, ClientError> {
    if let Some(error) = message.get("error") {
        let words = error.get("message").and_then(Value::as_str).unwrap_or_default();
        return Err(ClientError::Refused(words.to_owned()));
    }
    Ok(message.get_mut("result").map(Value::take).unwrap_or_default())
}
