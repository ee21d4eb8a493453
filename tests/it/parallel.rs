//! Many at once: sessions in parallel, calls of one session in order.

use std::sync::Arc;

use serde_json::json;
use testkit::{ToolResult, process::children, wait_for};

use crate::support::World;

#[tokio::test]
async fn twenty_sessions_run_at_once_through_one_codex() {
    let world = World::new().await;
    let server = Arc::new(world.server().await);
    for round in 1..=2 {
        let calls = (0..20).map(|number| {
            let server = Arc::clone(&server);
            tokio::spawn(async move {
                // Nobody is answered before all are asked at the same time.
                let prompt = format!("gather 20 answer-{number}-{round}");
                let session = format!("s{number}");
                server.call("codex", json!({"prompt": prompt, "sessionId": session})).await.ok()
            })
        });
        let calls: Vec<_> = calls.collect();
        for (number, call) in calls.into_iter().enumerate() {
            assert_eq!(call.await.unwrap()["response"], format!("answer-{number}-{round}"));
        }
    }
    for number in 0..20 {
        let session = format!("s{number}");
        let told =
            server.call("codex", json!({"prompt": "history", "sessionId": session})).await.ok();
        let own = format!("gather 20 answer-{number}-1\ngather 20 answer-{number}-2");
        assert_eq!(told["response"], own);
    }
    // What Codex starts for itself is not ours.
    let codexes = children(server.server_pid());
    assert_eq!(codexes.len(), 1, "{codexes:?}");
}

#[tokio::test]
async fn calls_of_one_session_run_one_after_the_other_in_order() {
    let world = World::new().await;
    let server = world.server().await;
    let mut calls = Vec::new();
    for number in 0..4 {
        let prompt = format!("slow 0.2 answer-{number}");
        let call = json!({"name": "codex", "arguments": {"prompt": prompt, "sessionId": "s"}});
        calls.push(server.begin("tools/call", call).await.1);
    }
    for (number, call) in calls.into_iter().enumerate() {
        let reply = ToolResult::from_response("codex", &call.wait("codex").await).ok();
        assert_eq!(reply["response"], format!("answer-{number}"));
        assert_eq!(reply["turn"], number + 1);
    }
    let kept = server.call("getSession", json!({"sessionId": "s"})).await.ok();
    let prompts: Vec<_> =
        kept["turns"].as_array().unwrap().iter().map(|turn| turn["prompt"].clone()).collect();
    assert_eq!(prompts, (0..4).map(|n| json!(format!("slow 0.2 answer-{n}"))).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_cancelled_call_stops_its_turn_and_the_session_goes_on() {
    let world = World::new().await;
    let server = world.server().await;
    let slow = json!({"name": "codex", "arguments": {"prompt": "slow 60 never", "sessionId": "s"}});
    let (id, _running) = server.begin("tools/call", slow.clone()).await;
    wait_for("the turn to run", || (world.model.open_streams() == 1).then_some(())).await;
    let (queued, _waiting) = server.begin("tools/call", slow).await;
    server.notify("notifications/cancelled", json!({"requestId": queued})).await;
    server.notify("notifications/cancelled", json!({"requestId": id})).await;
    wait_for("the model to be left alone", || (world.model.open_streams() == 0).then_some(()))
        .await;
    let next = server.call("codex", json!({"prompt": "say hi", "sessionId": "s"})).await.ok();
    assert_eq!(next["response"], "hi");
    let kept = server.call("getSession", json!({"sessionId": "s"})).await.ok();
    let turns = kept["turns"].as_array().unwrap();
    let states: Vec<_> = turns.iter().map(|turn| turn["status"].as_str().unwrap()).collect();
    // The second has a number if it was written down before it was taken back.
    let with = ["interrupted", "cancelled", "completed"];
    assert!(states == with || states == ["interrupted", "completed"], "{}", kept.raw);
    assert_eq!(next["turn"], states.len());
}
