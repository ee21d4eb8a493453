//! How it looks, and whether everybody can use it. Pictures are left in `target/ui`.

use std::path::PathBuf;

use serde_json::{Value, json};
use testkit::npm;

use crate::world::{World, quiet};

/// Finds what keeps people out.
const AXE: (&str, &str) = ("axe-core", "4.14.1");

#[tokio::test]
async fn it_can_be_used_by_everybody_light_and_dark_wide_and_narrow() {
    let world = World::new().await;
    let client = world.launch().connect_with_user().await;
    let answer = "say # Findings with **bold** and `code`: the cache is *never* cleared, see [the docs](https://example.com).";
    for (name, prompt) in [
        ("auth-review", answer),
        ("auth-review", "run echo hello; exit 1"),
        ("auth-review", "patch cache.rs"),
        ("release-notes", "say Three things changed."),
        ("flaky-test", "status 500"),
        ("asking", "escalate touch made"),
    ] {
        let sandbox = if prompt.starts_with("patch") { "workspace-write" } else { "read-only" };
        let call =
            json!({"prompt": prompt, "sessionId": name, "waitSeconds": 5, "sandbox": sandbox});
        client.call("codex", call).await;
    }
    let (ui, _browser, tab) = world.browse().await;
    let axe = npm::fetch(AXE.0, AXE.1).unwrap_or_else(|reason| panic!("{reason}"));
    let axe = std::fs::read_to_string(axe.join("node_modules/axe-core/axe.min.js")).unwrap();
    tab.eval(&format!("{axe}; true")).await;
    let target = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/ui");
    tab.wait("document.querySelector('#badge').textContent === '1'").await;
    for (view, shows) in [
        ("#/s/auth-review", "Findings"),
        ("#/approvals", "Run a command"),
        ("#/usage", "Tokens a day"),
        ("#/tree/auth-review", "Fork tree"),
        ("#/", "Choose a session"),
    ] {
        tab.eval(&format!("location.hash = {}", json!(view))).await;
        for (look, width, height, is_dark) in
            [("light", 1280, 800, false), ("dark", 1280, 800, true), ("narrow", 390, 800, false)]
        {
            tab.look(width, height, is_dark).await;
            tab.wait(&format!("document.body.textContent.includes({})", json!(shows))).await;
            if view.starts_with("#/s/") {
                tab.wait("document.querySelectorAll('.files, .commands').length === 2").await;
                tab.eval("for (const it of document.querySelectorAll('details')) it.open = true")
                    .await;
                tab.wait("document.querySelectorAll('.diff, .output').length === 2").await;
            }
            let found = tab.eval("axe.run().then((found) => found.violations.map(({id, nodes}) => ({id, on: nodes.map((n) => n.html + ' ' + n.failureSummary)})))").await;
            assert_eq!(found, Value::Array(Vec::new()), "{view} {look}");
            let wide = "document.documentElement.scrollWidth <= window.innerWidth";
            assert_eq!(tab.eval(wide).await, true, "{view} {look} scrolls sideways");
            let name = view.trim_start_matches("#/").replace('/', "-");
            let name = if name.is_empty() { "list".to_owned() } else { name };
            tab.picture(&target.join(format!("{name}-{look}.png"))).await;
        }
    }
    quiet(&tab, &ui.origin());
}
