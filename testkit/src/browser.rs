//! A real Chromium, driven over its `DevTools` protocol.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    sync::{mpsc, oneshot},
    time::timeout,
};
use tokio_tungstenite::{connect_async, tungstenite::Message};

/// How long anything in a page may take to become so.
const LIMIT: Duration = Duration::from_secs(20);

/// What Chromium is called.
const NAMES: &[&str] = &["chromium", "chromium-browser", "google-chrome"];

/// A browser with a profile of its own.
#[derive(Debug)]
pub struct Browser {
    _child: Child,
    _profile: tempfile::TempDir,
    address: String,
}

/// One tab.
#[derive(Debug)]
pub struct Tab {
    commands: mpsc::UnboundedSender<Message>,
    waiting: Arc<Mutex<HashMap<u64, oneshot::Sender<Value>>>>,
    next: AtomicU64,
    heard: Arc<Mutex<Vec<Value>>>,
}

impl Browser {
    /// Where it is installed.
    ///
    /// # Errors
    /// What is missing, in a sentence.
    pub fn find() -> Result<PathBuf, String> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let found = std::env::split_paths(&path)
            .flat_map(|folder| NAMES.iter().map(move |name| folder.join(name)))
            .find(|file| file.is_file());
        found.ok_or_else(|| {
            "a real Chromium is needed, such as Debian's package `chromium`".to_owned()
        })
    }

    /// Starts one.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start() -> Self {
        let program = Self::find().unwrap_or_else(|reason| panic!("{reason}"));
        let profile = tempfile::tempdir().expect("a folder");
        let mut command = Command::new(program);
        command.args([
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            // Frames of others stay in the tab's own process, where they can be looked into.
            "--disable-features=IsolateSandboxedIframes,IsolateOrigins,site-per-process",
            "--disable-site-isolation-trials",
            "--remote-debugging-port=0",
        ]);
        command.arg(format!("--user-data-dir={}", profile.path().display())).arg("about:blank");
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().expect("start Chromium");
        let mut lines = BufReader::new(child.stderr.take().expect("its stderr")).lines();
        let address = timeout(LIMIT, async {
            while let Ok(Some(line)) = lines.next_line().await {
                if let Some(url) = line.strip_prefix("DevTools listening on ws://") {
                    return url.split('/').next().unwrap_or_default().to_owned();
                }
            }
            String::new()
        });
        let address = address.await.expect("Chromium to listen");
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self { _child: child, _profile: profile, address }
    }

    /// Opens a page in a tab of its own.
    ///
    /// # Panics
    /// If it cannot.
    pub async fn open(&self, url: &str) -> Tab {
        let client = crate::http::http_client();
        let new = client.put(format!("http://{}/json/new?about:blank", self.address));
        let new = new.send().await.expect("a tab").bytes().await.expect("its address");
        let new: Value = serde_json::from_slice(&new).expect("JSON");
        let socket = new["webSocketDebuggerUrl"].as_str().expect("a socket").to_owned();
        let tab = Tab::connect(&socket).await;
        for domain in ["Page.enable", "Runtime.enable", "Network.enable", "Log.enable"] {
            tab.send(domain, json!({})).await;
        }
        tab.goto(url).await;
        tab
    }
}

impl Tab {
    async fn connect(url: &str) -> Self {
        let (socket, _) = connect_async(url).await.expect("a connection to the tab");
        let (mut sink, mut source) = socket.split();
        let (commands, mut wanted) = mpsc::unbounded_channel::<Message>();
        tokio::spawn(async move {
            while let Some(message) = wanted.recv().await {
                if sink.send(message).await.is_err() {
                    break;
                }
            }
        });
        let waiting: Arc<Mutex<HashMap<u64, oneshot::Sender<Value>>>> = Arc::default();
        let heard: Arc<Mutex<Vec<Value>>> = Arc::default();
        let (answered, noted) = (Arc::clone(&waiting), Arc::clone(&heard));
        tokio::spawn(async move {
            while let Some(Ok(message)) = source.next().await {
                let Ok(text) = message.into_text() else { continue };
                let Ok(message) = serde_json::from_str::<Value>(&text) else { continue };
                match message["id"].as_u64() {
                    Some(id) => {
                        let waiter = answered.lock().expect("unpoisoned").remove(&id);
                        waiter.map(|waiter| waiter.send(message));
                    }
                    None => noted.lock().expect("unpoisoned").push(message),
                }
            }
        });
        Self { commands, waiting, next: AtomicU64::new(1), heard }
    }

    /// Sends a command of the protocol, and returns its result.
    ///
    /// # Panics
    /// If the tab is gone or refuses.
    pub async fn send(&self, method: &str, params: Value) -> Value {
        let answer = self.try_send(method, params).await;
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].clone()
    }

    /// The same, and returns the whole answer, also if it is no.
    async fn try_send(&self, method: &str, params: Value) -> Value {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        self.waiting.lock().expect("unpoisoned").insert(id, sender);
        let message = json!({"id": id, "method": method, "params": params}).to_string();
        self.commands.send(Message::text(message)).expect("a tab that is there");
        timeout(LIMIT, answer).await.expect("an answer in time").expect("an answer")
    }

    /// Goes to another page.
    pub async fn goto(&self, url: &str) {
        self.send("Page.navigate", json!({"url": url})).await;
        self.wait("document.readyState === 'complete'").await;
    }

    /// The value of an expression; promises are waited for.
    ///
    /// # Panics
    /// If it throws.
    pub async fn eval(&self, expression: &str) -> Value {
        let params = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let result = self.send("Runtime.evaluate", params).await;
        assert!(result.get("exceptionDetails").is_none(), "{expression}: {result}");
        result["result"]["value"].clone()
    }

    /// The values of an expression in all frames of the page, whoever's they are. One that throws has none.
    pub async fn eval_in_frames(&self, expression: &str) -> Vec<Value> {
        let contexts: Vec<Value> = {
            let heard = self.heard.lock().expect("unpoisoned");
            let made =
                heard.iter().filter(|event| event["method"] == "Runtime.executionContextCreated");
            made.map(|event| event["params"]["context"]["uniqueId"].clone()).collect()
        };
        let mut values = Vec::new();
        for context in contexts {
            let params = json!({"expression": expression, "returnByValue": true, "uniqueContextId": context});
            // Some are gone.
            let answer = self.try_send("Runtime.evaluate", params).await;
            let value = answer["result"]["result"].get("value");
            values.extend(value.cloned());
        }
        values
    }

    /// Waits until an expression is true.
    ///
    /// # Panics
    /// If it does not become so, with the text of the page.
    pub async fn wait(&self, expression: &str) {
        let deadline = tokio::time::Instant::now() + LIMIT;
        loop {
            let params = json!({"expression": format!("!!({expression})"), "returnByValue": true});
            let result = self.send("Runtime.evaluate", params).await;
            if result["result"]["value"] == json!(true) {
                return;
            }
            if tokio::time::Instant::now() > deadline {
                let text = self.eval("document.body.innerText.slice(0, 4000)").await;
                panic!("`{expression}` does not become true; the page says:\n{text}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until the page shows this text.
    pub async fn sees(&self, text: &str) {
        self.wait(&format!("document.body.innerText.includes({})", json!(text))).await;
    }

    /// Clicks what a selector finds, once it is there, as a mouse does.
    pub async fn click(&self, selector: &str) {
        let place = self.press(selector).await;
        self.mouse("mouseReleased", &place).await;
    }

    /// Presses the mouse on what a selector finds, once it is there, and says where.
    pub async fn press(&self, selector: &str) -> Value {
        let found = format!("document.querySelector({})", json!(selector));
        self.wait(&format!("{found} && {found}.offsetParent !== null")).await;
        let place = format!(
            "(() => {{ const e = {found}; e.scrollIntoView({{block: 'center'}}); const r = e.getBoundingClientRect(); \
             const [x, y] = [r.x + r.width / 2, r.y + r.height / 2]; \
             return [x, y, e.contains(document.elementFromPoint(x, y))]; }})()"
        );
        // Nobody clicks what still moves.
        let deadline = tokio::time::Instant::now() + LIMIT;
        let mut before = Value::Null;
        let place = loop {
            let place = self.eval(&place).await;
            if place == before && place[2] == json!(true) {
                break place;
            }
            assert!(
                tokio::time::Instant::now() < deadline,
                "{selector} cannot be clicked: {place}"
            );
            before = place;
            tokio::time::sleep(Duration::from_millis(60)).await;
        };
        self.mouse("mousePressed", &place).await;
        place
    }

    /// Does something with the mouse at a place, such as `mouseReleased`.
    pub async fn mouse(&self, kind: &str, place: &Value) {
        let params =
            json!({"type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1});
        self.send("Input.dispatchMouseEvent", params).await;
    }

    /// Types into what a selector finds.
    pub async fn fill(&self, selector: &str, text: &str) {
        self.wait(&format!("document.querySelector({})", json!(selector))).await;
        self.eval(&format!("document.querySelector({}).focus()", json!(selector))).await;
        self.send("Input.insertText", json!({"text": text})).await;
    }

    /// Presses a key that types a character.
    pub async fn key(&self, key: &str) {
        for kind in ["keyDown", "keyUp"] {
            let params =
                json!({"type": kind, "key": key, "text": if kind == "keyDown" { key } else { "" }});
            self.send("Input.dispatchKeyEvent", params).await;
        }
    }

    /// Shows pages in this size, light or dark.
    pub async fn look(&self, width: u32, height: u32, is_dark: bool) {
        let size =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.send("Emulation.setDeviceMetricsOverride", size).await;
        let scheme = if is_dark { "dark" } else { "light" };
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.send("Emulation.setEmulatedMedia", features).await;
    }

    /// A picture of what is seen, as PNG.
    ///
    /// # Panics
    /// If it cannot be written.
    pub async fn picture(&self, file: &Path) {
        use base64::Engine;
        let shot = self.send("Page.captureScreenshot", json!({"format": "png"})).await;
        let data = shot["data"].as_str().expect("a picture");
        let bytes = base64::engine::general_purpose::STANDARD.decode(data).expect("base64");
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("make it");
        std::fs::write(file, bytes).expect("write the picture");
    }

    /// What the page complained about: errors in its console, and what was thrown.
    pub fn complaints(&self) -> Vec<String> {
        let heard = self.heard.lock().expect("unpoisoned");
        let told = heard.iter().filter(|event| match event["method"].as_str() {
            Some("Runtime.exceptionThrown") => true,
            Some("Runtime.consoleAPICalled") => event["params"]["type"] == "error",
            Some("Log.entryAdded") => event["params"]["entry"]["level"] == "error",
            _ => false,
        });
        told.map(ToString::to_string).collect()
    }

    /// Forgets the complaints so far.
    pub fn forgive(&self) {
        self.heard.lock().expect("unpoisoned").clear();
    }

    /// The addresses the page has asked for.
    pub fn requests(&self) -> Vec<String> {
        let heard = self.heard.lock().expect("unpoisoned");
        let sent = heard.iter().filter(|event| event["method"] == "Network.requestWillBeSent");
        sent.filter_map(|event| Some(event["params"]["request"]["url"].as_str()?.to_owned()))
            .collect()
    }
}
