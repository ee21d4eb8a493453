//! What helps people and clients find their way: prompts, completion, news of changes.

use serde_json::{Value, json};
use testkit::wait_for;

use crate::support::World;

#[tokio::test]
async fn prompts_say_which_tool_to_use() {
    let world = World::new().await;
    let server = world.server().await;
    let listed = server.request("prompts/list", json!({})).await["result"]["prompts"].clone();
    let names: Vec<_> = listed.as_array().unwrap().iter().map(|prompt| &prompt["name"]).collect();
    assert_eq!(names, ["review-my-changes", "second-opinion", "continue-session"]);
    let get = async |name: &str, arguments: Value| {
        server.request("prompts/get", json!({"name": name, "arguments": arguments})).await
    };
    for (name, arguments, parts) in [
        ("review-my-changes", json!({}), ["`review`", "{}"]),
        ("review-my-changes", json!({"base": "main"}), ["`review`", "\"base\": \"main\""]),
        ("second-opinion", json!({"question": "Why so slow?"}), ["`codex`", "Why so slow?"]),
        ("continue-session", json!({"sessionId": "s"}), ["`getSession`", "`s`"]),
    ] {
        let text = get(name, arguments).await["result"]["messages"][0]["content"]["text"].clone();
        let text = text.as_str().unwrap();
        assert!(parts.iter().all(|part| text.contains(part)), "{name}: {text}");
    }
    for (name, arguments, word) in
        [("second-opinion", json!({}), "`question`"), ("nothing", json!({}), "review-my-changes")]
    {
        let error = get(name, arguments).await["error"]["message"].clone();
        assert!(error.as_str().unwrap().contains(word), "{error}");
    }
}

#[tokio::test]
async fn names_and_numbers_are_completed() {
    let world = World::new().await;
    let server = world.server().await;
    for name in ["alpha", "alpine", "beta"] {
        server.call("codex", json!({"prompt": "say alp", "sessionId": name})).await.ok();
    }
    let complete = async |reference: Value, name: &str, value: &str, context: Value| {
        let argument = json!({"name": name, "value": value});
        let params = json!({"ref": reference, "argument": argument, "context": context});
        server.request("completion/complete", params).await["result"]["completion"]["values"]
            .clone()
    };
    let prompt = json!({"type": "ref/prompt", "name": "continue-session"});
    let turn =
        json!({"type": "ref/resource", "uri": "codex://sessions/{id}/turns/{n}{?offset,limit}"});
    let names = complete(prompt, "sessionId", "alp", json!({})).await;
    assert_eq!(names, json!(["alpine", "alpha"]));
    assert_eq!(complete(turn.clone(), "id", "b", json!({})).await, json!(["beta"]));
    let context = json!({"arguments": {"id": "beta"}});
    assert_eq!(complete(turn, "n", "", context).await, json!(["1"]));
}

#[tokio::test]
async fn changes_are_told_to_clients_of_both_eras() {
    let world = World::new().await;
    let server = world.server().await;
    let uri = "codex://sessions/s/turns/1";
    server.request("resources/subscribe", json!({"uri": uri})).await;
    server.call("codex", json!({"prompt": "say hi", "sessionId": "s"})).await.ok();
    server.call("codex", json!({"prompt": "say hi", "sessionId": "other"})).await.ok();
    let told = |method: &str| server.notifications(method);
    wait_for("both sessions to be told of", || {
        (told("notifications/resources/list_changed").len() >= 2).then_some(())
    })
    .await;
    let updated = wait_for("the turn to be told of", || {
        told("notifications/resources/updated").first().cloned()
    })
    .await;
    assert_eq!(updated["params"]["uri"], uri);
    server.request("resources/unsubscribe", json!({"uri": uri})).await;
    let before = told("notifications/resources/updated").len();
    server.call("codex", json!({"prompt": "say hi", "sessionId": "s"})).await.ok();
    assert_eq!(told("notifications/resources/updated").len(), before);

    let modern = world.launch().spawn();
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "testkit", "version": "1"},
    });
    let wanted =
        json!({"resourcesListChanged": true, "resourceSubscriptions": ["codex://sessions/m"]});
    let listen = json!({"_meta": meta, "notifications": wanted});
    let (_, _listening) = modern.begin("subscriptions/listen", listen).await;
    wait_for("the subscription", || {
        modern.notifications("notifications/subscriptions/acknowledged").pop()
    })
    .await;
    let call = json!({"name": "codex", "_meta": meta,
        "arguments": {"prompt": "say modern", "sessionId": "m"}});
    modern.request("tools/call", call).await;
    for method in ["notifications/resources/list_changed", "notifications/resources/updated"] {
        wait_for(method, || modern.notifications(method).pop()).await;
    }
}
