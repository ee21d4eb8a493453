//! Our views in the MCP Inspector, which shows views of servers as clients do.

use std::{
    net::TcpStream,
    path::PathBuf,
    process::Stdio,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use testkit::{
    Browser, HttpServer, Tab, npm,
    port::free_port,
    wait::{DEADLINE, wait_until},
};
use tokio::process::{Child, Command};

use crate::world::World;

const INSPECTOR: (&str, &str) = ("@modelcontextprotocol/inspector", "2.12.0");
const NODE: (&str, &str) = ("node", "22.23.3");
const TOKEN: &str = "a-token-for-this-test";

fn fetched((package, version): (&str, &str)) -> PathBuf {
    npm::fetch(package, version).unwrap_or_else(|reason| panic!("{reason}")).join("node_modules")
}

/// The Inspector's own page, at this port.
fn inspect(world: &World, port: u16) -> Child {
    let launcher = "@modelcontextprotocol/inspector/clients/launcher/build/index.js";
    let mut command = Command::new(fetched(NODE).join("node/bin/node"));
    command.arg(fetched(INSPECTOR).join(launcher)).arg("--web");
    command.env("HOME", world.home.path()).env("MCP_INSPECTOR_API_TOKEN", TOKEN);
    command.env("CLIENT_PORT", port.to_string()).env("MCP_AUTO_OPEN_ENABLED", "false");
    for name in ["MCP_SANDBOX_PORT", "MCP_APP_ORIGIN_PORT"] {
        command.env(name, free_port().to_string());
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    command.spawn().unwrap()
}

/// A view of ours in the Inspector, for the call of a tool.
async fn show(tab: &Tab, server: &HttpServer, port: u16, tool: &str, given: Value) {
    let encode = format!("encodeURIComponent(btoa({}))", json!(given.to_string()));
    let given = tab.eval(&encode).await.as_str().unwrap().to_owned();
    let url = format!(
        "http://localhost:{port}/?MCP_INSPECTOR_API_TOKEN={TOKEN}&serverUrl={}&transport=http\
         &autoConnect={TOKEN}&openApp={tool}&appArgs={given}&autoOpen={TOKEN}",
        server.url()
    );
    tab.goto(&url).await;
}

/// Waits until an expression is true in some frame. Asked now and then: each question is put to all frames, and the
/// Inspector's page has enough to do.
async fn until(tab: &Tab, expression: &str) {
    let expression = format!("Boolean({expression})");
    let started = Instant::now();
    while !tab.eval_in_frames(&expression).await.contains(&json!(true)) {
        if started.elapsed() > DEADLINE {
            let seen = tab.eval_in_frames("document.body?.innerText").await;
            panic!("`{expression}` does not become true: {}", json!(seen));
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test]
async fn the_inspector_shows_our_views_and_their_buttons_work_there() {
    let world = World::new().await;
    let roots = format!("limits.roots=[{:?}]", world.home.work().display().to_string());
    let serve = ["serve", "--http", "127.0.0.1:0", "--no-auth", "--set", &roots];
    let server = HttpServer::start(&world.launch().args(serve)).await;
    let port = free_port();
    let _inspector = inspect(&world, port);
    let listens =
        async || ["127.0.0.1", "::1"].iter().any(|ip| TcpStream::connect((*ip, port)).is_ok());
    wait_until("the Inspector", listens).await;
    let browser = Browser::start().await;
    let tab = browser.open("about:blank").await;
    tab.look(1280, 800, false).await;
    let file = world.home.work().join("clicked");
    let prompt = format!("escalate touch {}", file.display());
    // The Inspector tells a view of its call only by the result, so the call returns at once.
    let given = json!({"prompt": prompt, "sessionId": "card", "waitSeconds": 0});
    show(&tab, &server, port, "codex", given).await;
    // It connects, lists all there is, and calls the tool; then it loads the view.
    until(&tab, "document.body?.innerText.toUpperCase().includes('TOOLS/CALL')").await;
    // What Codex asks is a button in the card, and a click there answers it.
    until(&tab, "document.querySelector('.ask pre')?.textContent.includes('touch')").await;
    assert!(!file.exists());
    until(&tab, "document.querySelector('.ask .yes')").await;
    tab.eval_in_frames("document.querySelector('.ask .yes')?.click()").await;
    until(&tab, "document.querySelector('#title .completed')").await;
    until(&tab, "document.querySelector('#answer')?.textContent.startsWith('ran:')").await;
    assert!(file.exists());
    let target = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/ui");
    tab.picture(&target.join("inspector.png")).await;
    show(&tab, &server, port, "listSessions", json!({})).await;
    until(&tab, "document.querySelector('#rows')?.innerText.includes('card')").await;
}
