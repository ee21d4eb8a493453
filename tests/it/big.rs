//! Answers that are too big for a result: nothing is lost, and our memory stays small.

use serde_json::{Value, json};
use testkit::{Client, process::resident_bytes};

use crate::support::World;

const BYTES: usize = 5_000_000;

async fn read(server: &Client, uri: &str) -> Value {
    let answer = server.request("resources/read", json!({"uri": uri})).await;
    assert!(answer["error"].is_null(), "{answer}");
    answer["result"]["contents"][0].clone()
}

#[tokio::test]
async fn a_big_answer_is_cut_and_the_rest_is_read_by_its_link() {
    let world = World::new().await;
    let server = world.server().await;
    let call = json!({"prompt": format!("big {BYTES}"), "sessionId": "s"});
    let result = server.call("codex", call).await.ok();
    assert_eq!(result["truncated"], true);
    assert_eq!(result["response"].as_str().unwrap().len(), 40_000);
    assert!(result.text.len() < 41_000, "{}", result.text.len());
    let link = &result.raw["content"][1];
    assert_eq!((&link["type"], &link["size"]), (&json!("resource_link"), &json!(BYTES)));
    let hint = result.raw["_meta"]["anthropic/maxResultSizeChars"].as_u64().unwrap();
    assert!(hint > 80_000, "{hint}");
    // By the link, page after page.
    let (mut whole, mut uri) = (String::new(), link["uri"].as_str().unwrap().to_owned());
    loop {
        let page = read(&server, &uri).await;
        whole += page["text"].as_str().unwrap();
        match page["_meta"]["nextUri"].as_str() {
            Some(next) => uri = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(whole, "0123456789abcdef".repeat(BYTES / 16));
    // And by the tool, for clients without resources.
    let call = json!({"sessionId": "s", "turn": 1, "offset": 4_999_990});
    let end = server.call("getSession", call).await.ok();
    assert_eq!(end["turns"][0]["response"], "6789abcdef");
    assert_eq!(end["nextOffset"], Value::Null);
    // It does not make the session's page any bigger.
    let page = server.call("getSession", json!({"sessionId": "s"})).await.ok();
    assert!(page.text.len() < 50_000, "{}", page.text.len());
}

#[tokio::test]
async fn memory_does_not_grow_with_big_answers() {
    let world = World::new().await;
    // glibc learns to keep big blocks once they were given back, in so many places as threads took turns. With a limit that stays, all
    // that is given back is gone, and what is measured is what is kept.
    let server = world.launch().env("MALLOC_MMAP_THRESHOLD_", "131072").connect().await;
    server.call("codex", json!({"prompt": "say one"})).await.ok();
    let before = resident_bytes(server.server_pid()) / 1_000_000;
    let mut sizes = Vec::new();
    for _ in 0..6 {
        let call =
            json!({"prompt": format!("big {BYTES}"), "sessionId": "s", "resetSession": true});
        server.call("codex", call).await.ok();
        sizes.push(resident_bytes(server.server_pid()) / 1_000_000);
    }
    // Copies of one answer are allowed for, copies of every answer are not.
    assert!(sizes[5] < sizes[1] + 10, "MB before: {before}, after each: {sizes:?}");
    assert!(sizes[5] < before + 25, "MB before: {before}, after each: {sizes:?}");
}

#[tokio::test]
async fn text_is_cut_between_characters() {
    let world = World::new().await;
    let server = world.launch().args(["--set", "limits.result_characters=1000"]).connect().await;
    let whole = "ä€𝄞x".repeat(300);
    let call = json!({"prompt": format!("say {whole}"), "sessionId": "s"});
    let result = server.call("codex", call).await.ok();
    assert_eq!(result["response"], "ä€𝄞x".repeat(250));
    let page = read(&server, "codex://sessions/s/turns/1?offset=1001&limit=2").await;
    assert_eq!(page["text"], "€𝄞");
    assert_eq!(page["_meta"]["nextUri"], "codex://sessions/s/turns/1?offset=1003&limit=2");
}

#[tokio::test]
async fn sessions_are_resources() {
    let world = World::new().await;
    let server = world.server().await;
    server.call("codex", json!({"prompt": "say one", "sessionId": "s"})).await.ok();
    let listed = server.request("resources/list", json!({})).await;
    assert_eq!(listed["result"]["resources"][0]["uri"], "codex://sessions/s", "{listed}");
    let session = read(&server, "codex://sessions/s").await;
    let session: Value = serde_json::from_str(session["text"].as_str().unwrap()).unwrap();
    assert_eq!(session["turnCount"], 1);
    let turn = read(&server, session["turns"][0]["uri"].as_str().unwrap()).await;
    assert_eq!(turn["text"], "one");
    let templates = server.request("resources/templates/list", json!({})).await;
    let uris = templates["result"]["resourceTemplates"].to_string();
    assert!(uris.contains("codex://sessions/{id}/turns/{n}{?offset,limit}"), "{uris}");
    for odd in ["codex://sessions/none", "codex://sessions/s/turns/9", "file:///etc/passwd", ""] {
        let answer = server.request("resources/read", json!({"uri": odd})).await;
        assert!(answer["error"]["message"].is_string(), "{odd}: {answer}");
    }
}
