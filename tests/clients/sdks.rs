//! The official SDKs as clients, in both eras of MCP.

use std::path::{Path, PathBuf};

use serde_json::Value;
use testkit::{npm, python};

use crate::world::{NODE, World, fetched, run};

pub(crate) fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name)
}

fn assert_results(printed: &str) -> Vec<Value> {
    let results: Vec<Value> =
        printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(results[0]["structured"]["response"], "one", "{printed}");
    assert!(results[0]["text"].as_str().unwrap().contains("[session s "), "{printed}");
    assert_eq!(results[1]["structured"]["response"], "say one", "{printed}");
    assert_eq!(results[2]["structured"]["sessions"][0]["id"], "s", "{printed}");
    assert_eq!(results[3]["isError"], true, "{printed}");
    assert_eq!(results[3]["structured"]["code"], "unknown_session", "{printed}");
    results
}

#[tokio::test]
async fn python_sdk() {
    let python = python::fetch("mcp", "2.3.0").unwrap_or_else(|reason| panic!("{reason}"));
    let modes = ["auto", "legacy", "2026-07-28"];
    for (mode, over_http) in modes.into_iter().flat_map(|mode| [(mode, false), (mode, true)]) {
        let world = World::new().await;
        let (entry, _server) = world.entry_for(over_http).await;
        let mut client = world.command(&python.join("python"));
        client.arg(script("sdk.py")).arg(mode).arg(entry.to_string());
        let results = assert_results(&run(&mut client).await);
        // Codex asked, and this client's user said yes.
        assert_eq!(results[4]["isError"], false, "{mode}: {}", results[4]);
        assert!(results[4]["structured"]["response"].as_str().unwrap().contains("asked"), "{mode}");
    }
}

#[tokio::test]
async fn typescript_sdks() {
    for (version, package, released, mode) in [
        ("v1", "@modelcontextprotocol/sdk", "1.32.2", "legacy"),
        ("v2", "@modelcontextprotocol/client", "2.4.0", "legacy"),
        ("v2", "@modelcontextprotocol/client", "2.4.0", "auto"),
    ] {
        let folder = npm::fetch(package, released).unwrap_or_else(|reason| panic!("{reason}"));
        for over_http in [false, true] {
            let world = World::new().await;
            let (entry, _server) = world.entry_for(over_http).await;
            let mut client = world.command(&fetched(("node", NODE), "node"));
            client.arg(script("sdk.mjs")).arg(version).arg(&folder).arg(mode);
            assert_results(&run(client.arg(entry.to_string())).await);
        }
    }
}
