//! Calls that return before their turn is over, and who gets the answer then.

use serde_json::{Value, json};
use testkit::{Client, wait_for};

use crate::support::World;

/// Starts a turn in the background and returns the result that says so.
async fn start(server: &Client, world: &World, prompt: &str) -> testkit::ToolResult {
    let call = json!({"prompt": prompt, "sessionId": "s", "waitSeconds": 0});
    let running = server.call("codex", call).await.ok();
    assert_eq!(running["status"], "running", "{}", running.raw);
    wait_for("the turn to run", || (world.model.open_streams() == 1).then_some(())).await;
    running
}

#[tokio::test]
async fn a_turn_that_was_detached_is_waited_for_by_anybody() {
    let world = World::new().await;
    let (server, other) = (world.server().await, world.server().await);
    let running = start(&server, &world, "slow 2 slowly done").await;
    assert!(running.text.contains("wait {\"sessionId\":\"s\""), "{}", running.text);
    assert_eq!(running["turn"], 1);
    assert_eq!(running["continuity"], "new");
    let listed = other.call("listSessions", json!({})).await.ok();
    assert_eq!(listed["sessions"][0]["status"], "running");
    let still = server.call("wait", json!({"sessionId": "s", "waitSeconds": 0})).await.ok();
    assert_eq!(still["status"], "running");
    let (ours, theirs) = tokio::join!(
        server.call("wait", json!({"sessionId": "s"})),
        other.call("wait", json!({"sessionId": "s", "turn": 1})),
    );
    let (ours, theirs) = (ours.ok(), theirs.ok());
    assert_eq!((&ours["response"], &ours["status"]), (&json!("slowly done"), &json!("completed")));
    // The same result, wherever it is asked for and however often.
    assert_eq!(ours.raw, theirs.raw);
    let again = server.call("wait", json!({"sessionId": "s"})).await.ok();
    assert_eq!(again.raw, ours.raw);
}

#[tokio::test]
async fn waiting_gives_what_the_call_would_have_given() {
    let world = World::new().await;
    let server = world.server().await;
    let arguments = |session: &str| json!({"prompt": "run echo hi; exit 4", "sessionId": session, "model": "m", "reasoningEffort": "low"});
    let direct = server.call("codex", arguments("direct")).await.ok();
    let mut call = arguments("waited");
    call["waitSeconds"] = json!(0);
    server.call("codex", call).await.ok();
    let waited = server.call("wait", json!({"sessionId": "waited"})).await.ok();
    let plain = |result: &Value| {
        let mut result = result.clone();
        for own in ["sessionId", "threadId", "turnId", "durationMs", "response"] {
            assert!(result[own].take() != Value::Null, "{own} is missing: {result}");
        }
        result
    };
    assert_eq!(plain(&direct.structured), plain(&waited.structured));
}

#[tokio::test]
async fn a_call_is_detached_before_its_client_gives_up() {
    let world = World::new().await;
    let by_environment = world.launch().env("MCP_TOOL_TIMEOUT", "1200");
    let by_operator = world.launch().args(["--set", "turn.wait=1s"]);
    for launch in [by_environment, by_operator] {
        let server = launch.connect().await;
        let slow = json!({"prompt": "slow 60 partial and more", "waitSeconds": 50});
        let running = server.call("codex", slow).await.ok();
        assert_eq!(running["status"], "running");
        assert_eq!(running["response"], "partial ");
        let session = running["sessionId"].as_str().unwrap();
        server.call("interrupt", json!({"sessionId": session})).await.ok();
    }
}

#[tokio::test]
async fn a_turn_nobody_waits_for_is_kept() {
    let world = World::new().await;
    let server = world.server().await;
    start(&server, &world, "slow 1 for later").await;
    wait_for("the turn to end", || (world.model.open_streams() == 0).then_some(())).await;
    let waited = server.call("wait", json!({"sessionId": "s"})).await.ok();
    assert_eq!(waited["response"], "for later");
    let kept = server.call("getSession", json!({"sessionId": "s"})).await.ok();
    assert_eq!(kept["turns"][0]["response"], "for later");
}

#[tokio::test]
async fn a_call_can_be_detached_in_the_queue() {
    let world = World::new().await;
    let server = world.server().await;
    start(&server, &world, "slow 1 first").await;
    let call = json!({"prompt": "say second", "sessionId": "s", "waitSeconds": 0});
    let queued = server.call("codex", call).await.ok();
    assert_eq!((&queued["status"], &queued["turn"]), (&json!("running"), &json!(2)));
    assert!(queued.text.contains("has not begun"), "{}", queued.text);
    let second = server.call("wait", json!({"sessionId": "s", "turn": 2})).await.ok();
    assert_eq!(second["response"], "second");
    let first = server.call("wait", json!({"sessionId": "s", "turn": 1})).await.ok();
    assert_eq!(first["response"], "first");
}

#[tokio::test]
async fn waiting_for_nothing_is_an_error_that_says_so() {
    let world = World::new().await;
    let server = world.server().await;
    let wait = |arguments: Value| server.call("wait", arguments);
    wait(json!({"sessionId": "s"})).await.failed_with("unknown_session");
    server.call("codex", json!({"prompt": "say one", "sessionId": "s"})).await.ok();
    wait(json!({"sessionId": "s", "turn": 5})).await.failed_with("unknown_turn");
    wait(json!({"sessionId": "s", "turn": 0})).await.failed_with("invalid_argument");
    assert_eq!(wait(json!({"sessionId": "s"})).await.ok()["response"], "one");
}

#[tokio::test]
async fn a_cancelled_wait_leaves_the_turn_alone() {
    let world = World::new().await;
    let server = world.server().await;
    start(&server, &world, "slow 1 done anyway").await;
    let wait = json!({"name": "wait", "arguments": {"sessionId": "s"}});
    let (id, _waiting) = server.begin("tools/call", wait).await;
    server.notify("notifications/cancelled", json!({"requestId": id})).await;
    let waited = server.call("wait", json!({"sessionId": "s"})).await.ok();
    assert_eq!(
        (&waited["response"], &waited["status"]),
        (&json!("done anyway"), &json!("completed"))
    );
}

#[tokio::test]
async fn a_turn_of_a_server_that_dies_is_over_for_those_who_wait() {
    let world = World::new().await;
    let (server, other) = (world.server().await, world.server().await);
    // Long enough for what there is of the answer to be written down.
    start(&server, &world, "slow 60 partial and more").await;
    for _ in 0..200 {
        let read = other.call("getSession", json!({"sessionId": "s"})).await.ok();
        if read["turns"][0]["response"] == "partial " {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let wait = json!({"name": "wait", "arguments": {"sessionId": "s"}});
    let (_, waiting) = other.begin("tools/call", wait).await;
    server.signal("KILL").await;
    let waited = testkit::ToolResult::from_response("wait", &waiting.wait("wait").await);
    let waited = waited.failed_with("interrupted");
    assert_eq!(
        (&waited["status"], &waited["response"]),
        (&json!("interrupted"), &json!("partial "))
    );
}

#[tokio::test]
async fn a_turn_that_there_is_not_is_not_waited_for() {
    let world = World::new().await;
    let (server, other) = (world.server().await, world.server().await);
    start(&server, &world, "slow 60 never").await;
    for server in [&server, &other] {
        let missing = json!({"sessionId": "s", "turn": 99});
        server.call("wait", missing).await.failed_with("unknown_turn");
    }
}
