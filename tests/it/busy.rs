//! A session that is running a turn, and calls that come meanwhile.

use serde_json::{Value, json};
use testkit::{Client, ToolResult, wait_for};

use crate::support::World;

async fn begin(server: &Client, arguments: Value) -> testkit::client::Answer {
    server.begin("tools/call", json!({"name": "codex", "arguments": arguments})).await.1
}

async fn result(answer: testkit::client::Answer) -> ToolResult {
    ToolResult::from_response("codex", &answer.wait("codex").await)
}

async fn runs(world: &World) {
    wait_for("the turn to run", || (world.model.open_streams() == 1).then_some(())).await;
}

fn call(prompt: &str, on_busy: &str) -> Value {
    json!({"prompt": prompt, "sessionId": "s", "onBusy": on_busy})
}

#[tokio::test]
async fn a_call_can_be_refused_while_the_session_is_busy() {
    let world = World::new().await;
    let (server, other) = (world.server().await, world.server().await);
    let running = begin(&server, call("slow 60 never", "reject")).await;
    runs(&world).await;
    for server in [&server, &other] {
        server.call("codex", call("say no", "reject")).await.failed_with("session_busy");
    }
    server.call("interrupt", json!({"sessionId": "s"})).await.ok();
    result(running).await.failed_with("interrupted");
    for server in [&server, &other] {
        assert_eq!(server.call("codex", call("say yes", "reject")).await.ok()["response"], "yes");
    }
}

#[tokio::test]
async fn a_call_can_join_the_running_turn() {
    let world = World::new().await;
    let (server, other) = (world.server().await, world.server().await);
    for joining in [&server, &other] {
        let running = begin(&server, call("run sleep 2", "queue")).await;
        let first = world.model.requests().len();
        wait_for("the command to run", || {
            let told = world.model.requests().len();
            (told > first).then_some(())
        })
        .await;
        let joined = joining.call("codex", call("say joined", "steer")).await.ok();
        let running = result(running).await.ok();
        assert_eq!(joined["turn"], running["turn"]);
        assert_eq!(joined["response"], running["response"]);
        let seen = world.model.requests().last().unwrap().prompts();
        assert_eq!(seen.last().unwrap(), "say joined", "{seen:?}");
    }
}

#[tokio::test]
async fn a_call_can_join_although_another_waits_already() {
    let world = World::new().await;
    let (server, other) = (world.server().await, world.server().await);
    let before = world.model.requests().len();
    let running = begin(&server, call("run sleep 3", "queue")).await;
    wait_for("the model to be asked", || (world.model.requests().len() > before).then_some(()))
        .await;
    let (_, waiting) = other.call_with_progress("codex", call("say later", "queue"), "later").await;
    wait_for("a place in the queue", || (!other.progress("later").is_empty()).then_some(())).await;
    let joined = other.call("codex", call("say joined", "steer")).await.ok();
    assert_eq!((&joined["turn"], &joined["response"]), (&json!(1), &json!("joined")));
    assert_eq!(result(running).await.ok()["response"], "joined");
    assert_eq!(result(waiting).await.ok()["turn"], 2);
}

#[tokio::test]
async fn the_steer_tool_says_it_and_returns() {
    let world = World::new().await;
    let (server, other) = (world.server().await, world.server().await);
    server.call("codex", call("say ready", "queue")).await.ok();
    let steer = json!({"sessionId": "s", "prompt": "say steered"});
    server.call("steer", steer.clone()).await.failed_with("session_idle");
    for steering in [&server, &other] {
        let before = world.model.requests().len();
        let running = begin(&server, call("run sleep 2", "queue")).await;
        wait_for("the model to be asked", || (world.model.requests().len() > before).then_some(()))
            .await;
        assert_eq!(steering.call("steer", steer.clone()).await.ok()["steered"], true);
        let running = result(running).await.ok();
        assert_eq!(running["response"], "steered", "{}", running.raw);
    }
    let kept = server.call("getSession", json!({"sessionId": "s"})).await.ok();
    assert_eq!(kept["turns"][1]["prompt"], "run sleep 2\n\nsay steered");
}

#[tokio::test]
async fn a_steer_with_nothing_to_steer_is_a_turn_of_its_own() {
    let world = World::new().await;
    let server = world.server().await;
    assert_eq!(server.call("codex", call("say alone", "steer")).await.ok()["response"], "alone");
}

#[tokio::test]
async fn calls_of_several_servers_take_turns_in_the_order_they_came() {
    let world = World::new().await;
    let (one, two) = (world.server().await, world.server().await);
    let running = begin(&one, call("slow 1 running", "queue")).await;
    runs(&world).await;
    let mut calls = Vec::new();
    for number in 0..6 {
        let server = if number % 2 == 0 { &one } else { &two };
        let token = format!("t{number}");
        let prompt = format!("say answer-{number}");
        let arguments = call(&prompt, "queue");
        let (_, answer) = server.call_with_progress("codex", arguments, &token).await;
        wait_for("a place in the queue", || {
            let told = server.progress(&token);
            told.iter().any(|(_, message)| message.starts_with("queued")).then_some(())
        })
        .await;
        calls.push(answer);
    }
    result(running).await.ok();
    for (number, answer) in calls.into_iter().enumerate() {
        let answer = result(answer).await.ok();
        assert_eq!(answer["response"], format!("answer-{number}"));
        assert_eq!(answer["turn"], number + 2, "{}", answer.raw);
    }
}

#[tokio::test]
async fn the_queue_is_bounded() {
    let world = World::new().await;
    let server = world.server().await;
    let _running = begin(&server, call("slow 60 never", "queue")).await;
    runs(&world).await;
    let mut waiting = Vec::new();
    for _ in 0..32 {
        let (_, answer) =
            server.call_with_progress("codex", call("say later", "queue"), "waiting").await;
        waiting.push(answer);
    }
    server.call("codex", call("say no", "queue")).await.failed_with("session_busy");
}

#[tokio::test]
async fn a_call_that_was_cancelled_takes_no_place_in_the_queue() {
    let world = World::new().await;
    let server = world.server().await;
    let running = begin(&server, call("slow 60 never", "queue")).await;
    runs(&world).await;
    for number in 0..32 {
        let token = format!("t{number}");
        let (id, answer) =
            server.call_with_progress("codex", call("say no", "queue"), &token).await;
        wait_for("a place in the queue", || {
            let told = server.progress(&token);
            told.iter().any(|(_, message)| message.starts_with("queued")).then_some(())
        })
        .await;
        server.notify("notifications/cancelled", json!({"requestId": id})).await;
        drop(answer);
    }
    let waiting = begin(&server, call("say yes", "queue")).await;
    server.call("interrupt", json!({"sessionId": "s"})).await.ok();
    result(running).await.failed_with("interrupted");
    let answered = result(waiting).await.ok();
    assert_eq!((&answered["response"], &answered["turn"]), (&json!("yes"), &json!(34)));
}

#[tokio::test]
async fn a_wait_for_a_turn_of_another_server_gets_no_call_that_waits_here() {
    let world = World::new().await;
    let (one, two) =
        (world.launch().alone().connect().await, world.launch().alone().connect().await);
    one.call("codex", call("say one", "queue")).await.ok();
    let running = begin(&two, call("slow 2 two", "queue")).await;
    runs(&world).await;
    let (_, waiting) = one.call_with_progress("codex", call("say three", "queue"), "token").await;
    wait_for("a place in the queue", || {
        let told = one.progress("token");
        told.iter().any(|(_, message)| message.starts_with("queued")).then_some(())
    })
    .await;
    let waited = one.call("wait", json!({"sessionId": "s", "turn": 2})).await.ok();
    assert_eq!((&waited["response"], &waited["turn"]), (&json!("two"), &json!(2)));
    result(running).await.ok();
    let last = result(waiting).await.ok();
    assert_eq!((&last["response"], &last["turn"]), (&json!("three"), &json!(3)));
}
