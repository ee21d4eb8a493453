//! A scripted app-server for tests: a connection over a pipe in memory, whose other end a test plays.
//!
//! It knows the wire, not what Codex means by it.

use std::{sync::Arc, sync::atomic::Ordering, time::Duration};

use serde_json::{Value, json};
use tokio::io::{
    AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, Lines, ReadHalf, WriteHalf,
};
use tokio_util::task::TaskTracker;

use super::Connection;
use crate::codex::{launch::Found, process::Process};

/// The app-server's end of the pipe. Dropping it ends the connection.
#[derive(Debug)]
pub(crate) struct Script {
    heard: Lines<BufReader<ReadHalf<DuplexStream>>>,
    mouth: WriteHalf<DuplexStream>,
}

impl Script {
    /// A connection that is logged in, and the other end of it.
    pub(in crate::codex) fn new(tasks: &TaskTracker) -> (Arc<Connection>, Self) {
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        let (reader, writer) = tokio::io::split(ours);
        let found = Found {
            binary: "/codex".into(),
            version: "0.169.0".parse().unwrap(),
            reason: "",
            others: Vec::new(),
        };
        let process = Process::without_child(tasks);
        let limit = Duration::from_mins(1);
        let connection = Connection::over(reader, writer, process, found, limit, tasks);
        connection.logged_in.store(true, Ordering::Relaxed);
        let (ear, mouth) = tokio::io::split(theirs);
        (connection, Self { heard: BufReader::new(ear).lines(), mouth })
    }

    /// The next message, of whatever kind. None once the client has gone. Dropping the future loses nothing.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        let line = self.heard.next_line().await.unwrap()?;
        Some(serde_json::from_str(&line).unwrap())
    }

    /// The next request of a method; what else comes before is skipped.
    pub(crate) async fn hears(&mut self, method: &str) -> Value {
        loop {
            let message = self.next().await.expect("the client has gone");
            if message["method"] == method {
                return message;
            }
        }
    }

    /// The response to our own request with this id.
    pub(crate) async fn answer_to(&mut self, id: i64) -> Value {
        loop {
            let message = self.next().await.expect("the client has gone");
            if message["id"] == id && message.get("method").is_none() {
                return message;
            }
        }
    }

    pub(crate) async fn says(&mut self, message: &Value) {
        self.line(&message.to_string()).await;
    }

    pub(crate) async fn line(&mut self, line: &str) {
        self.mouth.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    pub(crate) async fn answers(&mut self, method: &str, result: &Value) {
        let request = self.hears(method).await;
        self.says(&json!({"id": request["id"], "result": result})).await;
    }

    pub(crate) async fn asks(&mut self, id: i64, thread: &str) {
        let params = json!({"threadId": thread, "itemId": "i", "command": format!("rm {id}")});
        let method = "item/commandExecution/requestApproval";
        self.says(&json!({"id": id, "method": method, "params": params})).await;
    }

    pub(crate) async fn ends(&mut self, thread: &str, turn: &str) {
        let params = json!({"threadId": thread, "turn": {"id": turn, "status": "completed"}});
        self.says(&json!({"method": "turn/completed", "params": params})).await;
    }
}
