//! The plugin's files: versions are those of Cargo.toml, and the tools they name are there.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::support::World;

/// The files that say a version. `just docs` writes it.
const MANIFESTS: [&str; 4] = [
    "plugin/plugin.json",
    "plugin/.claude-plugin/plugin.json",
    "plugin/.codex-plugin/plugin.json",
    "plugin/gemini-extension.json",
];

#[test]
fn versions_come_from_cargo() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for manifest in MANIFESTS {
        let path = root.join(manifest);
        let text = fs::read_to_string(&path).unwrap();
        let parsed: Value = serde_json::from_str(&text).unwrap();
        let said = parsed["version"].as_str().unwrap();
        let ours = env!("CARGO_PKG_VERSION");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            let said = format!("\"version\": \"{said}\"");
            fs::write(&path, text.replace(&said, &format!("\"version\": \"{ours}\""))).unwrap();
        } else {
            assert_eq!(said, ours, "{manifest} is out of date; run `just docs`");
        }
    }
    let market = fs::read_to_string(root.join(".claude-plugin/marketplace.json")).unwrap();
    let market: Value = serde_json::from_str(&market).unwrap();
    assert_eq!(market["plugins"], json!([{"name": "codex", "source": "./plugin"}]));
}

#[tokio::test]
async fn the_tools_it_names_are_offered() {
    const PREFIX: &str = "mcp__plugin_codex_codex__";
    let world = World::new().await;
    let server = world.server().await;
    let listed = server.request("tools/list", json!({})).await;
    let tools: Vec<_> = listed["result"]["tools"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tool| tool["name"].as_str().unwrap())
        .collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("plugin/claude");
    let mut named = 0;
    for folder in ["commands", "agents"].map(|name| folder.join(name)) {
        for file in fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            let text = fs::read_to_string(&path).unwrap();
            let (front, _) = text.strip_prefix("---\n").unwrap().split_once("\n---\n").unwrap();
            assert!(front.contains("description: "), "{}", path.display());
            for rest in text.split(PREFIX).skip(1) {
                let name: String = rest.chars().take_while(char::is_ascii_alphanumeric).collect();
                assert!(tools.contains(&name.as_str()), "{} names {name}", path.display());
                named += 1;
            }
        }
    }
    assert!(named > 20);
}
