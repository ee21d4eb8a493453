//! Searching the web: really enabled, only when asked for, and with the pages it rests on.

use serde_json::{Value, json};

use crate::support::World;

fn offered(world: &World) -> Value {
    let requests = world.model.requests();
    requests.last().unwrap().tool("web_search").cloned().unwrap_or_default()
}

#[tokio::test]
async fn a_search_is_live_and_names_its_pages() {
    let world = World::new().await;
    // The user does not want it in general.
    world.home.codex_config(&format!(
        "web_search = \"disabled\"\n{}",
        testkit::Home::provider(&world.model.url())
    ));
    let server = world.server().await;
    let search =
        json!({"query": "rust mcp", "numResults": 3, "searchDepth": "full", "sessionId": "s"});
    let found = server.call("websearch", search).await.ok();
    let tool = offered(&world);
    assert_eq!(tool["external_web_access"], true, "{tool}");
    assert_eq!(tool["search_context_size"], "high", "{tool}");
    let prompt = world.model.requests()[0].prompts().pop().unwrap();
    assert!(prompt.contains("up to 3 results") && prompt.contains("rust mcp"), "{prompt}");
    let sources = json!([
        {"url": "https://example.com/opened"},
        {"url": "https://example.com/linked", "title": "the linked page"},
    ]);
    assert_eq!(found["sources"], sources);
    let links: Vec<_> = found.raw["content"].as_array().unwrap().iter().skip(1).collect();
    assert_eq!(links[1]["type"], "resource_link");
    assert_eq!(links[1]["uri"], "https://example.com/linked");
    // The conversation goes on, without the web.
    let next = server.call("codex", json!({"prompt": "say more", "sessionId": "s"})).await.ok();
    assert_eq!((&next["continuity"], &next["turn"]), (&json!("resumed"), &json!(2)));
    assert_eq!(offered(&world), Value::Null);
    let on = json!({"prompt": "say on", "sessionId": "s", "webSearch": true});
    server.call("codex", on).await.ok();
    assert_eq!(offered(&world)["external_web_access"], true);
    let off = json!({"prompt": "say off", "webSearch": false});
    server.call("codex", off).await.ok();
    assert_eq!(offered(&world), Value::Null);
}

#[tokio::test]
async fn the_web_is_on_and_off_on_every_engine() {
    for version in ["0.50.0", "0.66.0", "0.72.0", "0.98.0", "0.146.0"] {
        let world = World::new().await;
        world.home.add_codex_config("[features]\nremote_models = false\n");
        let codex =
            testkit::codex_cli::fetch(version).unwrap_or_else(|why| panic!("{version}: {why}"));
        let server = world.launch().env("CODEX_BIN", codex.to_string_lossy()).connect().await;
        let search = json!({"query": "x", "sessionId": "s"});
        server.call("websearch", search).await.ok();
        assert_ne!(offered(&world), Value::Null, "{version}");
        let off = json!({"prompt": "say off", "sessionId": "s", "webSearch": false});
        server.call("codex", off).await.ok();
        assert_eq!(offered(&world), Value::Null, "{version}");
    }
}

#[tokio::test]
async fn a_client_that_knows_no_links_gets_none() {
    let world = World::new().await;
    let server = world.launch().spawn();
    server.initialize("2024-11-05").await;
    let found = server.call("websearch", json!({"query": "x"})).await.ok();
    assert_eq!(found.raw["content"].as_array().unwrap().len(), 1, "{}", found.raw);
    assert_eq!(found["sources"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_bad_search_is_named() {
    let world = World::new().await;
    let server = world.server().await;
    for (arguments, argument) in [
        (json!({}), "query"),
        (json!({"query": " "}), "query"),
        (json!({"query": "x", "numResults": 0}), "numResults"),
        (json!({"query": "x", "numResults": 51}), "numResults"),
        (json!({"query": "x", "searchDepth": "deep"}), "searchDepth"),
    ] {
        let refused = server.call("websearch", arguments).await.failed_with("invalid_argument");
        assert!(refused.text.contains(&format!("`{argument}`")), "{}", refused.text);
    }
}
