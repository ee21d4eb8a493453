//! What a caller is told while its turn runs.

use serde_json::json;
use testkit::{Client, wait_for};

use crate::support::World;

/// Runs a call to its end and returns what was told.
async fn told(server: &Client, arguments: serde_json::Value, token: &str) -> Vec<(f64, String)> {
    let (_, answer) = server.call_with_progress("codex", arguments, token).await;
    answer.wait("codex").await;
    server.progress(token)
}

#[tokio::test]
async fn what_codex_does_is_told_as_it_happens() {
    let world = World::new().await;
    let server = world.server().await;
    let command = json!({"prompt": "run echo hi; exit 3", "sessionId": "a"});
    let all = told(&server, command, "t1").await;
    let text: Vec<_> = all.iter().map(|(_, message)| message.as_str()).collect();
    let text = text.join(" | ");
    let places =
        ["running `echo hi; exit 3`", "`echo hi; exit 3` exited with 3", "writing the answer"]
            .map(|part| text.find(part).unwrap_or_else(|| panic!("{part:?} is not told: {text}")));
    assert!(places.is_sorted(), "{text}");
    assert!(all.windows(2).all(|pair| pair[0].0 < pair[1].0), "{all:?}");
    assert!(all.iter().all(|(_, message)| message.chars().count() < 200), "{all:?}");

    let long = format!("run true {}", "x".repeat(900));
    let all = told(&server, json!({"prompt": long, "sessionId": "a"}), "t2").await;
    assert!(all.iter().all(|(_, message)| message.chars().count() < 200), "{all:?}");
}

#[tokio::test]
async fn files_that_change_are_told() {
    let world = World::new().await;
    let server = world.server().await;
    let patch = json!({"prompt": "patch new.txt", "sandbox": "workspace-write"});
    let all = told(&server, patch, "t").await;
    assert!(all.iter().any(|(_, message)| message.contains("new.txt")), "{all:?}");
}

#[tokio::test]
async fn steps_of_a_plan_are_told() {
    let world = World::new().await;
    world.home.add_codex_config("[tools.update_plan]\nenabled = true\n");
    let server = world.server().await;
    let all = told(&server, json!({"prompt": "plan mend the roof"}), "t").await;
    assert!(all.iter().any(|(_, m)| m.contains("step 2 of 3: mend the roof")), "{all:?}");
}

#[tokio::test]
async fn without_a_token_nothing_is_told() {
    let world = World::new().await;
    let server = world.server().await;
    server.call("codex", json!({"prompt": "run echo hi"})).await.ok();
    assert!(server.notifications("notifications/progress").is_empty());
}

#[tokio::test]
async fn a_call_that_waits_is_told_its_place() {
    let world = World::new().await;
    let server = world.server().await;
    let call = |prompt: &str| json!({"prompt": prompt, "sessionId": "s"});
    let (first, _running) = server.call_with_progress("codex", call("slow 60 never"), "t1").await;
    wait_for("the turn to run", || (world.model.open_streams() == 1).then_some(())).await;
    let (_, _second) = server.call_with_progress("codex", call("say two"), "t2").await;
    let (_, third) = server.call_with_progress("codex", call("say three"), "t3").await;
    let says = |token: &str, part: &str| {
        server.progress(token).iter().any(|(_, message)| message.contains(part)).then_some(())
    };
    wait_for("the second's place", || says("t2", "queued, next in line")).await;
    wait_for("the third's place", || says("t3", "queued, 2 ahead")).await;
    server.notify("notifications/cancelled", json!({"requestId": first})).await;
    assert_eq!(third.wait("codex").await["result"]["structuredContent"]["response"], "three");
}

#[tokio::test]
async fn a_silent_turn_still_gives_signs_of_life() {
    let world = World::new().await;
    let server = world.server().await;
    let all = told(&server, json!({"prompt": "run sleep 11"}), "t").await;
    assert!(all.iter().any(|(_, m)| m.starts_with("still running `sleep 11` (1")), "{all:?}");
}
