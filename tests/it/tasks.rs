//! Calls as tasks, for clients that follow tasks (SEP-2663).

use std::time::Duration;

use serde_json::{Value, json};
use testkit::{Client, Launch, wait_for};

use crate::support::World;

/// What a client of the newest revision says with each request. `extensions` are those it follows.
fn meta(extensions: &Value) -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "task-client", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities":
            {"elicitation": {"form": {}}, "extensions": extensions},
    })
}

fn follows() -> Value {
    meta(&json!({"io.modelcontextprotocol/tasks": {}}))
}

async fn request(server: &Client, method: &str, mut params: Value) -> Value {
    params["_meta"] = follows();
    server.request(method, params).await
}

async fn call(server: &Client, tool: &str, arguments: Value) -> Value {
    request(server, "tools/call", json!({"name": tool, "arguments": arguments})).await["result"]
        .clone()
}

async fn get(server: &Client, id: &Value) -> Value {
    request(server, "tasks/get", json!({"taskId": id})).await["result"].clone()
}

/// Waits until a task is something else than this.
async fn until(server: &Client, id: &Value, wanted: &str) -> Value {
    for _ in 0..200 {
        let task = get(server, id).await;
        if task["status"] == wanted {
            return task;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{id} does not become {wanted}: {}", get(server, id).await)
}

fn launch(world: &World) -> Launch {
    world.launch().args(["--set", "turn.task=300ms"])
}

#[tokio::test]
async fn a_long_call_becomes_a_task_with_the_result_the_call_would_have_had() {
    let world = World::new().await;
    let server = launch(&world).spawn();
    let task = call(&server, "codex", json!({"prompt": "slow 2 at last", "sessionId": "s"})).await;
    assert_eq!((&task["resultType"], &task["status"]), (&json!("task"), &json!("working")));
    let id = &task["taskId"];
    assert!(id.as_str().unwrap().contains('s') && task["pollIntervalMs"].is_u64(), "{task}");
    let told = &task["_meta"]["com.anthropic/agent-task"]["modelImmediateResponse"];
    assert!(told.as_str().unwrap().contains("`s`"), "{task}");
    let working = get(&server, id).await;
    assert_eq!(
        (&working["resultType"], &working["status"]),
        (&json!("complete"), &json!("working"))
    );
    let message = working["statusMessage"].as_str().unwrap();
    assert!(message.contains("Turn 1 of s is running"), "{working}");
    let done = until(&server, id, "completed").await;
    assert_eq!(done["createdAt"], task["createdAt"]);
    // The same in every byte as what a call gets that waits to the end.
    let waited = call(&server, "wait", json!({"sessionId": "s"})).await;
    assert_eq!(done["result"].to_string(), waited.to_string());
    assert_eq!(done["result"]["structuredContent"]["response"], "at last");
    // Asked for as often as one likes, also from a server that was started later.
    server.close().await;
    let server = launch(&world).spawn();
    assert_eq!(get(&server, id).await["result"], done["result"]);
}

#[tokio::test]
async fn what_a_tool_adds_for_its_clients_is_in_the_result_of_a_task() {
    let world = World::new().await;
    world.home.repository();
    std::fs::write(world.home.work().join("a.txt"), "two\n").unwrap();
    let server = world.launch().args(["--set", "turn.task=1ms"]).spawn();
    let task = call(&server, "websearch", json!({"query": "rust", "sessionId": "s"})).await;
    let done = until(&server, &task["taskId"], "completed").await;
    let beside = &done["result"]["content"][0]["_meta"];
    assert_eq!((&beside["query"], &beside["numResults"]), (&json!("rust"), &json!(10)), "{done}");
    let waited = call(&server, "wait", json!({"sessionId": "s"})).await;
    assert_eq!(done["result"].to_string(), waited.to_string());
}

#[tokio::test]
async fn an_immediate_answer_stays_one_and_nobody_gets_a_task_who_did_not_ask_for_it() {
    let world = World::new().await;
    let server = launch(&world).args(["--set", "turn.task=60s"]).spawn();
    let answer = call(&server, "codex", json!({"prompt": "say at once"})).await;
    assert_eq!(answer["structuredContent"]["response"], "at once", "{answer}");
    server.close().await;
    let server = launch(&world).spawn();
    let mut params =
        json!({"name": "codex", "arguments": {"prompt": "slow 1 waited for", "sessionId": "s"}});
    params["_meta"] = meta(&json!({}));
    let answer = server.request("tools/call", params).await["result"].clone();
    assert_eq!(answer["structuredContent"]["response"], "waited for", "{answer}");
    server.close().await;
    // Nor in the older era.
    let server = launch(&world).connect().await;
    let answer = server.call("codex", json!({"prompt": "slow 1 waited for"})).await.ok();
    assert_eq!(answer["response"], "waited for");
}

#[tokio::test]
async fn an_approval_is_asked_through_the_task_and_answered_with_an_update() {
    let world = World::new().await;
    let server = launch(&world).spawn();
    let task =
        call(&server, "codex", json!({"prompt": "escalate touch made", "sessionId": "s"})).await;
    let id = &task["taskId"];
    let asking = until(&server, id, "input_required").await;
    let requests = asking["inputRequests"].as_object().unwrap();
    let (key, asked) = requests.iter().next().unwrap();
    assert_eq!(asked["method"], "elicitation/create", "{asking}");
    assert!(asked["params"]["message"].as_str().unwrap().contains("touch made"), "{asking}");
    // What was never asked is not answered.
    let accept = json!({"action": "accept", "content": {"decision": "accept"}});
    let stray = json!({"taskId": id, "inputResponses": {"no-such-key": accept}});
    assert_eq!(request(&server, "tasks/update", stray).await["result"]["resultType"], "complete");
    assert!(!world.home.work().join("made").exists());
    let answer = json!({"taskId": id, "inputResponses": {key: accept}});
    for _ in 0..2 {
        // The second one comes too late and changes nothing.
        let acknowledged = request(&server, "tasks/update", answer.clone()).await;
        assert_eq!(acknowledged["result"]["resultType"], "complete", "{acknowledged}");
    }
    until(&server, id, "completed").await;
    assert!(world.home.work().join("made").exists());
}

#[tokio::test]
async fn a_task_is_cancelled_once_however_often_it_is_asked_for() {
    let world = World::new().await;
    let server = launch(&world).spawn();
    let task = call(&server, "codex", json!({"prompt": "slow 60 never", "sessionId": "s"})).await;
    let id = &task["taskId"];
    for _ in 0..2 {
        let acknowledged = request(&server, "tasks/cancel", json!({"taskId": id})).await;
        assert_eq!(acknowledged["result"]["resultType"], "complete", "{acknowledged}");
    }
    until(&server, id, "cancelled").await;
    wait_for("the model to be left alone", || (world.model.open_streams() == 0).then_some(()))
        .await;
    // A late one does not stop the next turn.
    let next = call(&server, "codex", json!({"prompt": "slow 1 next", "sessionId": "s"})).await;
    request(&server, "tasks/cancel", json!({"taskId": id})).await;
    let done = until(&server, &next["taskId"], "completed").await;
    assert_eq!(done["result"]["structuredContent"]["response"], "next");
}

#[tokio::test]
async fn a_task_whose_turn_was_interrupted_by_somebody_else_has_what_there_is() {
    let world = World::new().await;
    let server = launch(&world).spawn();
    let slow = json!({"prompt": "slow 60 partial and more", "sessionId": "s"});
    let task = call(&server, "codex", slow).await;
    call(&server, "interrupt", json!({"sessionId": "s"})).await;
    let done = until(&server, &task["taskId"], "completed").await;
    assert_eq!(done["result"]["isError"], true);
    assert_eq!(done["result"]["structuredContent"]["code"], "interrupted", "{done}");
}

#[tokio::test]
async fn an_id_that_names_no_turn_is_unknown() {
    let world = World::new().await;
    let server = launch(&world).spawn();
    call(&server, "codex", json!({"prompt": "say hi", "sessionId": "s"})).await;
    for id in ["s:2", "s:0", "t:1", "s", "", "s:1:x", "\u{7}"] {
        for method in ["tasks/get", "tasks/cancel"] {
            let refused = request(&server, method, json!({"taskId": id})).await;
            assert_eq!(refused["error"]["code"], -32602, "{method} {id}: {refused}");
        }
    }
    let refused =
        request(&server, "tasks/update", json!({"taskId": "t:1", "inputResponses": {}})).await;
    assert_eq!(refused["error"]["code"], -32602, "{refused}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_task_goes_on_when_its_window_is_closed_and_another_one_collects_it() {
    let world = World::new().await;
    let launch = launch(&world).env("CODEX_MCP_SERVER_HOST_MODE", "auto");
    let server = launch.spawn();
    let task = call(&server, "codex", json!({"prompt": "slow 3 alone", "sessionId": "s"})).await;
    server.signal("INT").await;
    server.exited().await;
    let server = launch.spawn();
    let done = until(&server, &task["taskId"], "completed").await;
    assert_eq!(done["result"]["structuredContent"]["response"], "alone");
}

#[tokio::test]
async fn a_call_whose_session_has_too_long_a_name_for_a_task_is_asked_and_answered_as_ever() {
    let world = World::new().await;
    let server = launch(&world).spawn();
    let name = "n".repeat(200);
    let asked =
        call(&server, "codex", json!({"prompt": "escalate touch made", "sessionId": name})).await;
    assert_eq!(asked["resultType"], "input_required", "{asked}");
    let slow = json!({"prompt": "slow 1 after all", "sessionId": format!("{name}m")});
    let answer = call(&server, "codex", slow).await;
    assert_eq!(answer["structuredContent"]["response"], "after all", "{answer}");
}

#[tokio::test]
async fn a_call_that_waits_becomes_a_task_and_is_cancelled_before_it_begins() {
    let world = World::new().await;
    let server = launch(&world).spawn();
    let first = call(&server, "codex", json!({"prompt": "slow 60 never", "sessionId": "s"})).await;
    assert_eq!(first["resultType"], "task", "{first}");
    let asked = |prompt: &str| json!({"prompt": prompt, "sessionId": "s"});
    let second = call(&server, "codex", asked("say two")).await;
    let third = call(&server, "codex", asked("say three")).await;
    let waiting = get(&server, &second["taskId"]).await;
    assert_eq!(waiting["status"], "working", "{waiting}");
    assert!(waiting["statusMessage"].as_str().unwrap().contains("waits"), "{waiting}");
    request(&server, "tasks/cancel", json!({"taskId": second["taskId"]})).await;
    until(&server, &second["taskId"], "cancelled").await;
    request(&server, "tasks/cancel", json!({"taskId": first["taskId"]})).await;
    until(&server, &first["taskId"], "cancelled").await;
    let done = until(&server, &third["taskId"], "completed").await;
    assert_eq!(done["result"]["structuredContent"]["response"], "three", "{done}");
    let asked: Vec<_> = world.model.requests().iter().filter_map(|it| it.prompts().pop()).collect();
    assert_eq!(asked, ["slow 60 never", "say three"]);
}
