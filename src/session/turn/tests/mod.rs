//! The actor of a session under paused time: its store is in memory, and Codex is played by a script.
//!
//! What real Codex makes of all this is for the whole-program tests; these are about time and order.

mod asking;
mod running;
mod sharing;

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_util::task::TaskTracker;

use super::{Call, Step, Update};
use crate::{
    codex::{Codex, Script},
    session::{
        Reply, Request, SessionConfig, SessionError, SessionName, Sessions,
        shared::Shared,
        store::{LazyStore, ReferenceStore, StoreClock},
    },
};

const SECOND: Duration = Duration::from_secs(1);

/// A server, another owner of its store, and what its Codex hears.
struct World {
    sessions: Sessions,
    shared: Arc<Shared>,
    /// Another server of the same store.
    other: ReferenceStore,
    clock: StoreClock,
    codex: Played,
}

/// The Codex a test plays. It answers what it is asked as Codex does when all is well, unless it is to be deaf.
struct Played {
    say: mpsc::Sender<Value>,
    heard: mpsc::Receiver<Value>,
    deaf: Arc<Mutex<HashSet<&'static str>>>,
    refused: Arc<Mutex<HashSet<&'static str>>>,
    ended: JoinHandle<()>,
}

fn name() -> SessionName {
    "s".parse().unwrap()
}

impl World {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut SessionConfig)) -> Self {
        let tasks = TaskTracker::new();
        let (codex, script) = Codex::scripted(&tasks);
        let codex_played = Played::start(script, &tasks);
        let clock = StoreClock::manual();
        let store = ReferenceStore::new(clock.clone());
        let other = store.another();
        let mut config = SessionConfig::example();
        change(&mut config);
        let shared = Arc::new(Shared::new(codex, LazyStore::of(Arc::new(store)), config, tasks));
        let sessions = Sessions::over(Arc::clone(&shared));
        Self { sessions, shared, other, clock, codex: codex_played }
    }

    async fn send(&self, request: Request) -> Call {
        self.sessions.send(Some(name()), request).await.unwrap()
    }

    /// Sends a prompt and waits until its turn runs. Its call goes on as a task.
    async fn begin(&mut self, request: Request) -> JoinHandle<Ending> {
        let call = self.send(request).await;
        let ending = self.shared.tasks.spawn(ending(call));
        self.codex.hears("turn/start").await;
        ending
    }
}

/// What a call was told, and how it ended.
struct Ending {
    updates: Vec<Update>,
    outcome: Result<Arc<Reply>, Arc<SessionError>>,
}

impl Ending {
    fn reply(self) -> Reply {
        (*self.outcome.unwrap()).clone()
    }
}

async fn ending(mut call: Call) -> Ending {
    let mut updates = Vec::new();
    loop {
        match call.next().await {
            Step::Update(update) => updates.push(update),
            Step::Done(outcome) => return Ending { updates, outcome },
        }
    }
}

impl Played {
    fn start(mut script: Script, tasks: &TaskTracker) -> Self {
        let (say, mut to_say) = mpsc::channel::<Value>(99);
        let (hear, heard) = mpsc::channel(999);
        let deaf = Arc::<Mutex<HashSet<&'static str>>>::default();
        let refused = Arc::<Mutex<HashSet<&'static str>>>::default();
        let (unanswered, declined) = (Arc::clone(&deaf), Arc::clone(&refused));
        let ended = tasks.spawn(async move {
            let mut turns = 0;
            loop {
                tokio::select! {
                    biased;
                    message = script.next() => {
                        let Some(message) = message else { return };
                        let method = message["method"].as_str().unwrap_or_default();
                        if method == "turn/start" {
                            turns += 1;
                        }
                        let has = |set: &Mutex<HashSet<&'static str>>| lock(set).contains(method);
                        if has(&declined) {
                            let error = json!({"code": -32600, "message": "no"});
                            script.says(&json!({"id": message["id"], "error": error})).await;
                        } else if !has(&unanswered) && !method.is_empty() {
                            let result = routine(&message, turns);
                            script.says(&json!({"id": message["id"], "result": result})).await;
                        }
                        hear.try_send(message).unwrap();
                    }
                    message = to_say.recv() => match message {
                        Some(message) => script.says(&message).await,
                        None => return,
                    },
                }
            }
        });
        Self { say, heard, deaf, refused, ended }
    }

    /// The next request of a method; what else comes before is skipped.
    async fn hears(&mut self, method: &str) -> Value {
        loop {
            let message = self.heard.recv().await.expect("the server has gone");
            if message["method"] == method {
                return message["params"].clone();
            }
        }
    }

    /// What it has heard and nobody has asked for.
    fn heard_meanwhile(&mut self) -> Vec<String> {
        let mut methods = Vec::new();
        while let Ok(message) = self.heard.try_recv() {
            methods.extend(message["method"].as_str().map(str::to_owned));
        }
        methods
    }

    /// The decision given to our own request of this number.
    async fn decision(&mut self, id: i64) -> String {
        loop {
            let message = self.heard.recv().await.expect("the server has gone");
            if message["id"] == id && message.get("method").is_none() {
                return message["result"]["decision"].as_str().unwrap().to_owned();
            }
        }
    }

    fn says(&self, method: &str, params: &Value) {
        let mut message = json!({"method": method, "params": params});
        message["params"]["threadId"] = "t".into();
        let _ = self.say.try_send(message);
    }

    fn item(&self, event: &str, turn: u32, item: &Value) {
        self.says(event, &json!({"turnId": turn.to_string(), "item": item}));
    }

    fn answers(&self, turn: u32, text: &str) {
        let item = json!({"type": "agentMessage", "id": "m", "text": text});
        self.item("item/completed", turn, &item);
        self.ends(turn, "completed");
    }

    fn ends(&self, turn: u32, status: &str) {
        self.says("turn/completed", &json!({"turn": {"id": turn.to_string(), "status": status}}));
    }

    /// Asks to run a command.
    fn asks(&self, id: i64, turn: u32) {
        let params =
            json!({"threadId": "t", "turnId": turn.to_string(), "itemId": "i", "command": "rm x"});
        let method = "item/commandExecution/requestApproval";
        let _ = self.say.try_send(json!({"id": id, "method": method, "params": params}));
    }

    /// From now on it does not answer this.
    fn is_deaf_to(&self, method: &'static str) {
        lock(&self.deaf).insert(method);
    }

    /// From now on it says no to this.
    fn refuses(&self, method: &'static str) {
        lock(&self.refused).insert(method);
    }

    fn takes(&self, method: &'static str) {
        lock(&self.refused).remove(method);
        lock(&self.deaf).remove(method);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What Codex answers when all is well. Its turns are numbered, its threads are all called `t`.
fn routine(message: &Value, turns: u32) -> Value {
    match message["method"].as_str().unwrap_or_default() {
        "thread/start" | "thread/resume" => json!({"thread": {"id": "t"}}),
        "turn/start" => json!({"turn": {"id": turns.to_string()}}),
        "config/read" => json!({"config": {}}),
        "model/list" => json!({"data": []}),
        _ => json!({}),
    }
}
