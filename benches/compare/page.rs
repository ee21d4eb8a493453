//! The page in a real Chromium: the first view of many sessions, and how late an event is.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;
use testkit::{Browser, HttpServer};

use crate::{
    contenders::World,
    measure::{median, row},
};

/// How many sessions there are.
const SESSIONS: usize = 1_000;

/// Notes in the page when something is there for the first time.
const WATCH: &str = "window.seen = {}; new MutationObserver(() => { \
    if (!seen.list && document.querySelector('.sessions li')) seen.list = performance.now(); \
    for (const turn of document.querySelectorAll('.turn .answer')) { \
        const id = turn.parentElement.id; seen[id] ??= Date.now(); } \
    const text = document.querySelector('.streaming')?.textContent; \
    if (text) seen.text ??= Date.now(); \
}).observe(document, { childList: true, subtree: true, characterData: true });";

/// With the bars: 300 ms for the first view, 200 ms for an event.
pub(crate) async fn page(world: &World) {
    if let Err(reason) = Browser::find() {
        println!("the page is not measured: {reason}");
        return;
    }
    let home = world.home();
    let store = home.state().join("codex-mcp-server");
    let launch = world.ours(&home).args(["serve", "--http", "127.0.0.1:0", "--no-auth"]);
    let launch = launch.args(["--set", "limits.roots=[\"/tmp\"]"]);
    let server = HttpServer::start(&launch).await;
    let client = server.client(None);
    client.call("codex", json!({"prompt": "say one", "sessionId": "s"})).await.ok();
    let url = format!("sqlite://{}", store.join("sessions.sqlite3").display());
    let file = sqlx::SqlitePool::connect(&url).await.unwrap();
    sqlx::query(
        "INSERT INTO sessions (name, automatic, created_at, last_accessed_at, expires_at, status, turn_count, settings, \
         usage, revision) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) \
         SELECT 's' || i, 0, created_at, last_accessed_at - i, expires_at, 'completed', 0, settings, usage, 0 \
         FROM sessions, n WHERE name = 's'",
    )
    .bind(i64::try_from(SESSIONS).unwrap())
    .execute(&file)
    .await
    .unwrap();
    file.close().await;
    let browser = Browser::start().await;
    let tab = browser.open("about:blank").await;
    tab.send("Page.addScriptToEvaluateOnNewDocument", json!({"source": WATCH})).await;
    let mut views = Vec::new();
    for _ in 0..5 {
        tab.goto(&server.beside("/ui/")).await;
        tab.wait("window.seen.list").await;
        views.push(tab.eval("seen.list").await.as_f64().unwrap());
    }
    row(&format!("page, first view of {SESSIONS} sessions, ms"), "the bar", median(views), 300.0);
    tab.eval("location.hash = '#/s/s'").await;
    tab.wait("document.querySelector('#turn-1')").await;
    let mut late = Vec::new();
    for turn in 2..12 {
        client.call("codex", json!({"prompt": "say next", "sessionId": "s"})).await.ok();
        let told = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64() * 1000.0;
        tab.wait(&format!("window.seen['turn-{turn}']")).await;
        late.push(tab.eval(&format!("seen['turn-{turn}']")).await.as_f64().unwrap() - told);
    }
    row("page, answer there after its client has it, ms", "the bar", median(late), 200.0);
}
