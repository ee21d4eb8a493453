//! The least that can drive an app-server: what any bridge has to pay.

use std::process::Stdio;

use serde_json::{Value, json};
use testkit::Home;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use crate::contenders::World;

pub(crate) struct Bare {
    _child: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    thread: String,
}

impl Bare {
    pub(crate) async fn start(world: &World, home: &Home) -> Self {
        let mut child = Command::new(world.codex())
            .arg("app-server")
            .env_clear()
            .envs(home.env())
            .current_dir(home.work())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let stdin = child.stdin.take().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut bare = Self { _child: child, stdin, lines, thread: String::new() };
        let client = json!({"clientInfo": {"name": "bare", "version": "1"}});
        bare.ask("initialize", client, |message| message.get("result").is_some()).await;
        let settings = json!({"cwd": home.work(), "approvalPolicy": "never"});
        let opened =
            bare.ask("thread/start", settings, |message| message["result"]["thread"].is_object());
        let opened = opened.await;
        opened["result"]["thread"]["id"].as_str().unwrap().clone_into(&mut bare.thread);
        bare
    }

    pub(crate) async fn turn(&mut self, prompt: &str) {
        let input = json!({"threadId": self.thread, "input": [{"type": "text", "text": prompt}]});
        self.ask("turn/start", input, |message| message["method"] == "turn/completed").await;
    }

    async fn ask(&mut self, method: &str, params: Value, done: impl Fn(&Value) -> bool) -> Value {
        let line = json!({"id": 1, "method": method, "params": params}).to_string() + "\n";
        self.stdin.write_all(line.as_bytes()).await.unwrap();
        loop {
            let line = self.lines.next_line().await.unwrap().expect("the app-server lives");
            let message: Value = serde_json::from_str(&line).unwrap();
            if done(&message) {
                return message;
            }
        }
    }
}
