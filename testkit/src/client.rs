//! A small MCP client over a child's stdio: enough to be a real peer, no more.

use std::{
    collections::HashMap,
    process::ExitStatus,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::oneshot,
};

use crate::{process, wait::wait_for};

/// How long any single answer may take before a test fails.
const ANSWER_DEADLINE: Duration = Duration::from_secs(90);

/// One connection to one server process.
#[derive(Debug)]
pub struct Client {
    child: tokio::sync::Mutex<Child>,
    pid: u32,
    stdin: tokio::sync::Mutex<Option<ChildStdin>>,
    next_id: AtomicU64,
    heard: Arc<Heard>,
}

/// What came back from the server.
#[derive(Debug, Default)]
struct Heard {
    pending: Mutex<HashMap<u64, oneshot::Sender<Value>>>,
    notifications: Mutex<Vec<Value>>,
    stray: Mutex<Vec<String>>,
    stderr: Mutex<String>,
}

/// A tool result, taken apart.
#[derive(Debug, Clone)]
pub struct ToolResult {
    /// Whether the tool said that it failed.
    pub is_error: bool,
    /// All text blocks, joined by newlines.
    pub text: String,
    /// The structured form, `null` if there was none.
    pub structured: Value,
    /// The whole result.
    pub raw: Value,
}

impl std::ops::Index<&str> for ToolResult {
    type Output = Value;

    fn index(&self, field: &str) -> &Value {
        &self.structured[field]
    }
}

impl Client {
    pub(crate) fn spawn(mut command: Command) -> Self {
        let mut child = command.spawn().expect("start the server");
        let heard = Arc::new(Heard::default());
        let stdout = child.stdout.take().expect("a piped stdout");
        tokio::spawn(listen(stdout, Arc::clone(&heard)));
        let stderr = child.stderr.take().expect("a piped stderr");
        tokio::spawn(collect(stderr, Arc::clone(&heard)));
        Self {
            pid: child.id().expect("a living child"),
            stdin: tokio::sync::Mutex::new(child.stdin.take()),
            child: tokio::sync::Mutex::new(child),
            next_id: AtomicU64::new(1),
            heard,
        }
    }

    /// Shakes hands as a client of the given protocol revision and returns the server's answer.
    pub async fn initialize(&self, revision: &str) -> Value {
        self.initialize_with(revision, json!({})).await
    }

    /// The same, as a client that can do something.
    pub async fn initialize_with(&self, revision: &str, capabilities: Value) -> Value {
        let answer = self
            .request(
                "initialize",
                json!({
                    "protocolVersion": revision, "capabilities": capabilities,
                    "clientInfo": {"name": "testkit", "version": "1"},
                }),
            )
            .await;
        self.notify("notifications/initialized", json!({})).await;
        answer["result"].clone()
    }

    /// Sends a request and returns the whole response: `result` or `error`.
    pub async fn request(&self, method: &str, params: Value) -> Value {
        let (_, answer) = self.begin(method, params).await;
        answer.wait(method).await
    }

    /// Sends a request without waiting; the id serves to cancel it.
    pub async fn begin(&self, method: &str, params: Value) -> (u64, Answer) {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = oneshot::channel();
        self.heard.pending.lock().expect("unpoisoned").insert(id, sender);
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})).await;
        (id, Answer(receiver))
    }

    /// Sends a notification.
    pub async fn notify(&self, method: &str, params: Value) {
        self.send(&json!({"jsonrpc": "2.0", "method": method, "params": params})).await;
    }

    /// Calls a tool and returns its result.
    ///
    /// # Panics
    /// If the server answered with a protocol error or not at all.
    pub async fn call(&self, tool: &str, arguments: Value) -> ToolResult {
        let answer =
            self.request("tools/call", json!({"name": tool, "arguments": arguments})).await;
        ToolResult::from_response(tool, &answer)
    }

    /// Calls a tool that tells its progress, without waiting for its result.
    pub async fn call_with_progress(
        &self,
        tool: &str,
        arguments: Value,
        token: &str,
    ) -> (u64, Answer) {
        let meta = json!({"progressToken": token});
        let call = json!({"name": tool, "arguments": arguments, "_meta": meta});
        self.begin("tools/call", call).await
    }

    /// What was told of the progress of the call with this token, oldest first.
    pub fn progress(&self, token: &str) -> Vec<(f64, String)> {
        let told = self.notifications("notifications/progress");
        let params = told.iter().map(|message| &message["params"]);
        let ours = params.filter(|params| params["progressToken"] == token);
        ours.map(|params| {
            let message = params["message"].as_str().unwrap_or_default();
            (params["progress"].as_f64().unwrap_or_default(), message.to_owned())
        })
        .collect()
    }

    /// What the server has asked so far with this method.
    pub fn asked(&self, method: &str) -> Vec<Value> {
        let mut asked = self.notifications(method);
        asked.retain(|message| !message["id"].is_null());
        asked
    }

    /// Answers what the server asked.
    pub async fn respond(&self, request: &Value, result: Value) {
        self.send(&json!({"jsonrpc": "2.0", "id": request["id"], "result": result})).await;
    }

    /// Writes one raw line.
    pub async fn send_line(&self, line: &str) {
        let mut stdin = self.stdin.lock().await;
        let stdin = stdin.as_mut().expect("an open stdin");
        // A server that has gone away is seen by the missing answer.
        let _ = stdin.write_all(format!("{line}\n").as_bytes()).await;
        let _ = stdin.flush().await;
    }

    async fn send(&self, message: &Value) {
        self.send_line(&message.to_string()).await;
    }

    /// The notifications so far with this method.
    pub fn notifications(&self, method: &str) -> Vec<Value> {
        let all = self.heard.notifications.lock().expect("unpoisoned");
        all.iter().filter(|message| message["method"] == method).cloned().collect()
    }

    /// Every message so far that answers no request made here.
    pub fn messages(&self) -> Vec<Value> {
        self.heard.notifications.lock().expect("unpoisoned").clone()
    }

    /// Lines on stdout that were not protocol messages; there must be none.
    pub fn stray_lines(&self) -> Vec<String> {
        self.heard.stray.lock().expect("unpoisoned").clone()
    }

    /// Everything the server wrote to stderr so far.
    pub fn stderr(&self) -> String {
        self.heard.stderr.lock().expect("unpoisoned").clone()
    }

    /// The process that the client started.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The process that serves the client: the host, if the client started a bridge to one.
    ///
    /// # Panics
    /// If the host does not answer.
    pub fn server_pid(&self) -> u32 {
        process::host_of(self.pid).unwrap_or(self.pid)
    }

    /// Closes the server's stdin, as a client that goes away does.
    pub async fn close_stdin(&self) {
        self.stdin.lock().await.take();
    }

    /// Sends the server a signal by its name, such as `TERM`.
    pub async fn signal(&self, name: &str) {
        signal(self.pid, name).await;
    }

    /// Waits until the server has ended.
    pub async fn exited(&self) -> ExitStatus {
        let mut child = self.child.lock().await;
        let exit = tokio::time::timeout(ANSWER_DEADLINE, child.wait()).await;
        exit.expect("the server ends in time").expect("an exit status")
    }

    /// Closes stdin and waits for the end; also for that of a host which has nobody and nothing left, so that a server
    /// that is started next does not find it.
    pub async fn close(&self) -> ExitStatus {
        let socket = process::host_socket(self.pid);
        let host = socket.and_then(|socket| Some((process::host_status(&socket)?, socket)));
        self.close_stdin().await;
        let status = self.exited().await;
        if let Some((host, socket)) = host {
            let pid = host["pid"].as_u64().and_then(|pid| pid.try_into().ok()).expect("a process");
            let has_others = host["clients"].as_u64() > Some(1);
            let closed = std::time::Instant::now();
            wait_for("the host to end or to have others to serve", || {
                // A turn that the client held takes a moment to end, one in the background longer.
                let is_busy = closed.elapsed() > Duration::from_secs(3)
                    && process::host_status(&socket).is_some_and(|now| now["runningTurns"] != 0);
                (has_others || is_busy || process::is_gone(pid)).then_some(())
            })
            .await;
        }
        status
    }
}

/// Sends a signal to any process by its number.
pub async fn signal(pid: u32, name: &str) {
    assert!(try_signal(pid, name).await, "cannot signal {pid}");
}

/// The same to one that may have ended. Says whether it was there.
pub async fn try_signal(pid: u32, name: &str) -> bool {
    // The shell's own `kill` is there where the program is not.
    let status = Command::new("sh").args(["-c", &format!("kill -{name} {pid}")]).status().await;
    status.is_ok_and(|status| status.success())
}

/// The answer to a request that is still to come.
#[derive(Debug)]
pub struct Answer(oneshot::Receiver<Value>);

impl Answer {
    /// Waits for it.
    ///
    /// # Panics
    /// If the server ended or took too long.
    pub async fn wait(self, what: &str) -> Value {
        match self.within(ANSWER_DEADLINE).await {
            Some(answer) => answer,
            None => panic!("no answer to `{what}`"),
        }
    }

    /// Waits at most this long; none if the server ended or said nothing.
    pub async fn within(self, limit: Duration) -> Option<Value> {
        tokio::time::timeout(limit, self.0).await.ok()?.ok()
    }
}

impl ToolResult {
    /// Takes the response of a `tools/call` apart.
    ///
    /// # Panics
    /// If it is a protocol error.
    pub fn from_response(tool: &str, answer: &Value) -> Self {
        let raw = answer["result"].clone();
        assert!(raw.is_object(), "`{tool}` was not answered with a result: {answer}");
        let blocks = raw["content"].as_array().cloned().unwrap_or_default();
        let text: Vec<&str> = blocks.iter().filter_map(|block| block["text"].as_str()).collect();
        Self {
            is_error: raw["isError"].as_bool().unwrap_or(false),
            text: text.join("\n"),
            structured: raw["structuredContent"].clone(),
            raw,
        }
    }

    /// Asserts that the tool succeeded.
    ///
    /// # Panics
    /// With the tool's own words if it did not.
    pub fn ok(self) -> Self {
        assert!(!self.is_error, "the tool failed: {}", self.raw);
        self
    }

    /// Asserts that the tool failed with this code.
    ///
    /// # Panics
    /// If it succeeded or failed otherwise.
    pub fn failed_with(self, code: &str) -> Self {
        assert!(self.is_error, "the tool did not fail: {}", self.raw);
        assert_eq!(self.structured["code"], code, "{}", self.raw);
        self
    }
}

async fn listen(stdout: ChildStdout, heard: Arc<Heard>) {
    let mut lines = BufReader::new(stdout).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let Ok(message) = serde_json::from_str::<Value>(&line) else {
            heard.stray.lock().expect("unpoisoned").push(line);
            continue;
        };
        let waiting = match (message["id"].as_u64(), message.get("method")) {
            (Some(id), None) => heard.pending.lock().expect("unpoisoned").remove(&id),
            _ => None,
        };
        match waiting {
            Some(sender) => drop(sender.send(message)),
            None => heard.notifications.lock().expect("unpoisoned").push(message),
        }
    }
    // Whoever still waits learns that nothing will come.
    heard.pending.lock().expect("unpoisoned").clear();
}

async fn collect(mut stderr: tokio::process::ChildStderr, heard: Arc<Heard>) {
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = stderr.read(&mut buffer).await {
        let text = String::from_utf8_lossy(&buffer[..count]).into_owned();
        heard.stderr.lock().expect("unpoisoned").push_str(&text);
    }
}
