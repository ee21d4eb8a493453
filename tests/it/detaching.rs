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
    let by_environment = world.launch().env("MCP_TOOL_TIMEOUT", "5000");
    let by_operator = world.launch().args(["--set", "turn.wait=4s"]);
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
    let launch = world.launch().alone();
    let (server, other) = (launch.connect().await, launch.connect().await);
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

async fn turn_count(server: &Client) -> u64 {
    let listed = server.call("listSessions", json!({})).await.ok();
    listed["sessions"][0]["turnCount"].as_u64().unwrap()
}

/// Waits until a turn is over without reading its answer.
async fn over(server: &Client) {
    for _ in 0..200 {
        let listed = server.call("listSessions", json!({})).await.ok();
        if listed["sessions"][0]["status"] != "running" {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("the turn does not end");
}

#[tokio::test]
async fn a_detached_call_waits_and_its_turn_goes_on_when_it_is_cancelled() {
    let world = World::new().await;
    let server = world.server().await;
    let call = json!({"prompt": "say at once", "sessionId": "s", "detach": true});
    assert_eq!(server.call("codex", call).await.ok()["response"], "at once");
    let call = json!({"prompt": "slow 2 all the same", "sessionId": "s", "detach": true});
    let (id, _cancelled) =
        server.begin("tools/call", json!({"name": "codex", "arguments": call})).await;
    wait_for("the turn to run", || (world.model.open_streams() == 1).then_some(())).await;
    server.notify("notifications/cancelled", json!({"requestId": id})).await;
    let waited = server.call("wait", json!({"sessionId": "s"})).await.ok();
    assert_eq!(waited["response"], "all the same");
    assert_eq!(turn_count(&server).await, 2);
}

#[tokio::test]
async fn a_client_that_gives_up_loses_nothing_and_is_answered_sooner_from_then_on() {
    let world = World::new().await;
    let server = world.server().await;
    // What a person cancels stops.
    let call = json!({"prompt": "slow 60 stop", "sessionId": "stop"});
    let (id, _stopped) =
        server.begin("tools/call", json!({"name": "codex", "arguments": call})).await;
    wait_for("the turn to run", || (world.model.open_streams() == 1).then_some(())).await;
    let stopped = json!({"requestId": id, "reason": "the user has cancelled"});
    server.notify("notifications/cancelled", stopped).await;
    wait_for("the turn to end", || (world.model.open_streams() == 0).then_some(())).await;
    // In the words of the SDKs for Python and TypeScript.
    for (session, reason) in [("py", "timed out after 5s"), ("ts", "SdkError: Request timed out")] {
        let call =
            json!({"prompt": "slow 5 all the same", "sessionId": session, "waitSeconds": 50});
        let (id, _given_up) =
            server.begin("tools/call", json!({"name": "codex", "arguments": call})).await;
        wait_for("the turn to run", || (world.model.open_streams() == 1).then_some(())).await;
        server.notify("notifications/cancelled", json!({"requestId": id, "reason": reason})).await;
        let mut again = server.call("codex", call.clone()).await.ok();
        assert_eq!((&again["joined"], &again["turn"]), (&json!(true), &json!(1)), "{}", again.raw);
        while again["status"] == "running" {
            again = server.call("wait", json!({"sessionId": session})).await.ok();
        }
        assert_eq!(again["response"], "all the same", "{}", again.raw);
    }
    // It asks for longer than it was seen to wait.
    let call = json!({"prompt": "slow 60 more", "sessionId": "more", "waitSeconds": 50});
    assert_eq!(server.call("codex", call).await.ok()["status"], "running");
}

#[tokio::test]
async fn a_call_that_is_made_again_gets_the_turn_that_runs() {
    let world = World::new().await;
    let server = world.server().await;
    start(&server, &world, "slow 1 once").await;
    let again = json!({"prompt": "slow 1 once", "sessionId": "s"});
    let joined = server.call("codex", again.clone()).await.ok();
    assert_eq!((&joined["response"], &joined["turn"]), (&json!("once"), &json!(1)));
    assert_eq!(joined["joined"], true);
    assert!(joined.text.contains("nothing was run twice"), "{}", joined.text);
    // That answer has been collected: the same once more is another turn.
    let next = server.call("codex", again).await.ok();
    assert_eq!((&next["turn"], &next["joined"]), (&json!(2), &Value::Null));
}

#[tokio::test]
async fn a_call_that_is_made_again_gets_the_answer_that_nobody_had() {
    let world = World::new().await;
    let server = world.server().await;
    start(&server, &world, "slow 0.5 once").await;
    over(&server).await;
    server.close().await;
    let server = world.server().await;
    let again = json!({"prompt": "slow 0.5 once", "sessionId": "s"});
    let joined = server.call("codex", again.clone()).await.ok();
    assert_eq!((&joined["response"], &joined["turn"]), (&json!("once"), &json!(1)));
    assert_eq!(joined["joined"], true, "{}", joined.raw);
    let next = server.call("codex", again).await.ok();
    assert_eq!((&next["turn"], &next["joined"]), (&json!(2), &Value::Null));
    assert_eq!(turn_count(&server).await, 2);
}

#[tokio::test]
async fn what_is_no_repetition_is_a_turn_of_its_own() {
    let world = World::new().await;
    let server = world.server().await;
    let call = |more: Value| {
        let mut call = json!({"prompt": "slow 0.2 on", "sessionId": "s"});
        call.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        call
    };
    let plain = call(json!({}));
    // One after the other, and both at once: each has a caller.
    server.call("codex", plain.clone()).await.ok();
    let both =
        tokio::join!(server.call("codex", plain.clone()), server.call("codex", plain.clone()));
    for answer in [both.0.ok(), both.1.ok()] {
        assert_eq!(answer["joined"], Value::Null, "{}", answer.raw);
    }
    let mut expected = 3;
    // Its answer was had by `wait`, or by reading the session.
    for reader in ["wait", "getSession"] {
        server.call("codex", call(json!({"waitSeconds": 0}))).await.ok();
        over(&server).await;
        server.call(reader, json!({"sessionId": "s"})).await.ok();
        server.call("codex", plain.clone()).await.ok();
        expected += 2;
        assert_eq!(turn_count(&server).await, expected, "{reader}");
    }
    // Something else is asked for.
    for other in [
        json!({"prompt": "say off"}),
        json!({"model": "gpt-other"}),
        json!({"sandbox": "workspace-write"}),
        json!({"onBusy": "queue"}),
    ] {
        server.call("codex", call(json!({"waitSeconds": 0}))).await.ok();
        over(&server).await;
        let answer = server.call("codex", call(other.clone())).await.ok();
        assert_eq!(answer["joined"], Value::Null, "{other}: {}", answer.raw);
        expected += 2;
        assert_eq!(turn_count(&server).await, expected, "{other}");
    }
}
