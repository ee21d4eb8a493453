//! The MCP Inspector's command line: its lint of schemas, and calls, in both eras.

use std::path::PathBuf;

use serde_json::Value;

use crate::world::{World, fetched, run};

const INSPECTOR: (&str, &str) = ("@modelcontextprotocol/inspector", "2.12.0");

/// Our server with its environment, as one program.
pub(crate) fn program(world: &World) -> PathBuf {
    let env = world.env();
    let env = env.as_object().unwrap().iter();
    let env: Vec<String> =
        env.map(|(name, value)| format!("{name}='{}'", value.as_str().unwrap())).collect();
    let script = format!("#!/bin/sh\nexec env -i {} {} \"$@\"\n", env.join(" "), World::server());
    let path = world.file("server", "");
    testkit::program::write(path, &script)
}

async fn inspected(world: &World, entry: &Value, era: &str, words: &[&str]) -> Value {
    let mut inspector = world.command(&fetched(INSPECTOR, "mcp-inspector"));
    inspector.args(["--cli", "--protocol-era", era]).args(words).args(["--format", "json", "-q"]);
    match entry["url"].as_str() {
        Some(url) => {
            let bearer = entry["headers"]["Authorization"].as_str().unwrap();
            inspector.args(["--transport", "http", "--server-url", url, "--header"]);
            inspector.arg(format!("Authorization: {bearer}"));
        }
        None => drop(inspector.arg(program(world))),
    }
    let printed = run(&mut inspector).await;
    serde_json::from_str(&printed).unwrap_or_else(|_| panic!("{printed}"))
}

#[tokio::test]
async fn inspector() {
    for (era, over_http) in
        [("legacy", false), ("modern", false), ("legacy", true), ("modern", true)]
    {
        let world = World::new().await;
        let (entry, _server) = world.entry_for(over_http).await;
        // Findings of either kind, errors or warnings, would be there.
        let listed = inspected(&world, &entry, era, &["--method", "tools/list", "--strict"]).await;
        assert!(listed.to_string().contains("listSessions"), "{listed}");
        assert!(listed["schemaFindings"].is_null(), "{listed}");
        for (prompt, answer) in [("say one", "one"), ("history", "say one")] {
            let prompt = format!("prompt={prompt}");
            let words = ["--method", "tools/call", "--tool-name", "codex", "--tool-arg", &prompt];
            let words = [&words[..], &["--tool-arg", "sessionId=s"]].concat();
            let result = inspected(&world, &entry, era, &words).await;
            assert!(result.to_string().contains(&format!("\"response\":\"{answer}\"")), "{result}");
        }
        // In the newer era that is a task, which is followed to its end.
        let words = ["--method", "tools/call", "--tool-name", "codex", "--tool-arg"];
        let words = [&words[..], &["prompt=slow 5 at last", "--tool-arg", "sessionId=t"]].concat();
        let result = inspected(&world, &entry, era, &words).await;
        assert!(result.to_string().contains("\"response\":\"at last\""), "{result}");
        let words = ["--method", "tools/call", "--tool-name", "listSessions"];
        let result = inspected(&world, &entry, era, &words).await;
        assert!(result.to_string().contains("\"turnCount\":2"), "{result}");
    }
}
