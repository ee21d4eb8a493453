//! Those who are not there are told: the operator's hook for detached turns.

use std::{fs, path::PathBuf, time::Duration};

use serde_json::{Value, json};
use testkit::{process, wait_for};

use crate::support::World;

fn hook(world: &World) -> (String, PathBuf) {
    let told = world.home.path().join("told");
    (format!("notify.command=cat >> {}", told.display()), told)
}

fn read(told: &PathBuf) -> Vec<Value> {
    let lines = fs::read_to_string(told).unwrap_or_default();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn the_end_of_a_detached_turn_is_told_and_that_of_an_attached_one_is_not() {
    let world = World::new().await;
    let (set, told) = hook(&world);
    let server = world.launch().arg("--set").arg(set).connect().await;
    server.call("codex", json!({"prompt": "say here", "sessionId": "s"})).await.ok();
    // Nor that of one whose call was cancelled.
    let call = json!({"name": "codex", "arguments": {"prompt": "slow 60 never", "sessionId": "c"}});
    let (id, _cancelled) = server.begin("tools/call", call).await;
    wait_for("the turn to run", || (world.model.open_streams() == 1).then_some(())).await;
    server.notify("notifications/cancelled", json!({"requestId": id})).await;
    wait_for("its end", || (world.model.open_streams() == 0).then_some(())).await;
    let call = json!({"prompt": "slow 0.3 far away", "sessionId": "s", "waitSeconds": 0});
    server.call("codex", call).await.ok();
    let told = wait_for("to be told", || Some(read(&told)).filter(|told| !told.is_empty())).await;
    let [ended] = told.as_slice() else { panic!("{told:?}") };
    let expected = json!({
        "event": "ended", "sessionId": "s", "turn": 2, "status": "completed", "response": "far away",
        "message": "Turn 2 of session s is over: completed.",
        "workingDirectory": world.home.work(), "durationMs": ended["durationMs"],
    });
    assert_eq!(*ended, expected);
}

#[tokio::test]
async fn what_a_detached_turn_asks_is_told() {
    let world = World::new().await;
    let (set, told) = hook(&world);
    let server = world.launch().arg("--set").arg(set).connect_with_user().await;
    let call = json!({"prompt": "escalate touch made", "sessionId": "s", "waitSeconds": 0});
    server.call("codex", call).await.ok();
    let told = wait_for("to be told", || Some(read(&told)).filter(|told| !told.is_empty())).await;
    assert_eq!((&told[0]["event"], &told[0]["sessionId"]), (&json!("asked"), &json!("s")));
    let message = told[0]["message"].as_str().unwrap();
    assert!(message.contains("touch made"), "{message}");
    assert!(told[0]["approvalId"].is_string(), "{told:?}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_host_that_leaves_tells_it_first() {
    let world = World::new().await;
    let (set, told) = hook(&world);
    let set = set.replace("=cat", "=sleep 0.5; cat");
    let launch = world.launch().env("CODEX_MCP_SERVER_HOST_MODE", "auto").arg("--set").arg(set);
    let server = launch.connect().await;
    let call = json!({"prompt": "slow 1 alone", "sessionId": "s", "waitSeconds": 0});
    server.call("codex", call).await.ok();
    server.close().await;
    process::all_gone(&world.home.path().to_string_lossy(), "after the turn").await;
    assert_eq!(read(&told)[0]["response"], "alone");
}

#[tokio::test]
async fn a_hook_that_fails_or_hangs_holds_nothing_up() {
    for command in ["exit 3", "sleep 1000", "no-such-command"] {
        let world = World::new().await;
        let set = format!("notify.command={command}");
        let server = world.launch().arg("--set").arg(set).connect().await;
        for number in 1..=2 {
            let prompt = format!("say {number}");
            let call = json!({"prompt": prompt, "sessionId": "s", "detach": true});
            let answer = server.call("codex", call).await.ok();
            assert_eq!(answer["response"], number.to_string(), "{command}");
        }
        let closed = tokio::time::timeout(Duration::from_secs(30), server.close()).await;
        assert!(closed.is_ok(), "{command}");
        process::all_gone(&world.home.path().to_string_lossy(), command).await;
    }
}
