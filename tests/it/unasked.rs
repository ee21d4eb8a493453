//! Turns that Codex begins by itself, for messages in its own queue: they are turns of their session.

use std::process::{Command, Stdio};

use serde_json::{Value, json};
use testkit::{CODEX_VERSION, Client, client::try_signal, codex_cli, wait::wait_until, wait_for};

use crate::support::World;

/// Queues a message in Codex as a person does in a terminal.
fn queue(world: &World, thread: &str, message: &str) {
    let codex = codex_cli::fetch(CODEX_VERSION).unwrap_or_else(|reason| panic!("{reason}"));
    let queued = Command::new(codex)
        .args(["queue", "--thread", thread, "--message", message])
        .env_clear()
        .envs(world.home.env())
        .current_dir(world.home.work())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(queued.status.success(), "{queued:?}");
}

async fn begun(server: &Client) -> String {
    let first = server.call("codex", json!({"prompt": "say one", "sessionId": "s"})).await.ok();
    first["threadId"].as_str().unwrap().to_owned()
}

/// Queues a message while the second turn runs.
async fn queue_in_a_turn(world: &World, server: &Client, thread: &str, message: &str) {
    let slow = json!({"prompt": "slow 3 first", "sessionId": "s", "waitSeconds": 0});
    server.call("codex", slow).await.ok();
    wait_for("the turn", || (world.model.requests().len() == 2).then_some(())).await;
    queue(world, thread, message);
}

/// The turns of the session: number, prompt, answer.
async fn turns(server: &Client) -> Vec<(u64, String, String)> {
    let kept = server.call("getSession", json!({"sessionId": "s"})).await.ok();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let turns = kept["turns"].as_array().unwrap().iter();
    turns
        .map(|turn| {
            (turn["number"].as_u64().unwrap(), text(&turn["prompt"]), text(&turn["response"]))
        })
        .collect()
}

fn told(turns: &[(u64, &str, &str)]) -> Vec<(u64, String, String)> {
    turns
        .iter()
        .map(|(number, prompt, answer)| (*number, (*prompt).into(), (*answer).into()))
        .collect()
}

#[tokio::test]
async fn what_waits_in_codex_comes_first_and_each_is_a_turn() {
    let world = World::new().await;
    let server = world.launch().args(["--set", "codex.release_after=0s"]).connect().await;
    let thread = begun(&server).await;
    queue(&world, &thread, "say two");
    queue(&world, &thread, "say three");
    let last = server.call("codex", json!({"prompt": "say four", "sessionId": "s"})).await.ok();
    assert_eq!((&last["response"], &last["turn"]), (&json!("four"), &json!(4)), "{}", last.raw);
    assert_eq!(last["usage"]["totalTokens"], 120, "{}", last.raw);
    let expected = told(&[
        (1, "say one", "one"),
        (2, "say two", "two"),
        (3, "say three", "three"),
        (4, "say four", "four"),
    ]);
    assert_eq!(turns(&server).await, expected);
    assert_eq!(world.model.requests().len(), 4);
    let second = server.call("wait", json!({"sessionId": "s", "turn": 2})).await.ok();
    assert!(second["warnings"].to_string().contains("its own queue"), "{}", second.raw);
    assert_eq!(
        (&second["continuity"], &second["usage"]["totalTokens"]),
        (&json!("resumed"), &json!(120))
    );
}

#[tokio::test]
async fn a_message_that_is_queued_in_a_turn_runs_after_it_to_its_end() {
    let world = World::new().await;
    let server = world.launch().args(["--set", "codex.release_after=0s"]).connect().await;
    let thread = begun(&server).await;
    // It takes longer than the thread would be kept open.
    queue_in_a_turn(&world, &server, &thread, "slow 3 second").await;
    let next = json!({"prompt": "say third", "sessionId": "s"});
    let third = server.call("codex", next).await.ok();
    assert_eq!(third["response"], "third", "{}", third.raw);
    let turns = turns(&server).await;
    let mut answers: Vec<_> =
        turns.iter().map(|(_, prompt, answer)| (&**prompt, &**answer)).collect();
    answers.sort_unstable();
    let expected = [
        ("say one", "one"),
        ("say third", "third"),
        ("slow 3 first", "first"),
        ("slow 3 second", "second"),
    ];
    assert_eq!(answers, expected);
    assert_eq!(world.model.requests().len(), 4);
}

#[tokio::test]
async fn a_turn_of_codex_s_own_is_seen_and_stopped_as_any_other() {
    let world = World::new().await;
    let server = world.launch().args(["--set", "codex.release_after=60s"]).connect().await;
    let thread = begun(&server).await;
    queue_in_a_turn(&world, &server, &thread, "slow 60 never").await;
    wait_for("the turn of Codex's own", || (world.model.requests().len() == 3).then_some(())).await;
    let running =
        server.call("wait", json!({"sessionId": "s", "turn": 3, "waitSeconds": 1})).await.ok();
    assert_eq!(
        (&running["status"], &running["turn"]),
        (&json!("running"), &json!(3)),
        "{}",
        running.raw
    );
    let stopped = server.call("interrupt", json!({"sessionId": "s"})).await.ok();
    assert_eq!(
        (&stopped["interrupted"], &stopped["turn"]),
        (&json!(true), &json!(3)),
        "{}",
        stopped.raw
    );
    let next = server.call("codex", json!({"prompt": "say on", "sessionId": "s"})).await.ok();
    assert_eq!((&next["response"], &next["turn"]), (&json!("on"), &json!(4)), "{}", next.raw);
}

#[tokio::test]
async fn a_message_for_a_thread_at_rest_is_a_turn_without_any_call() {
    let world = World::new().await;
    let server = world.launch().args(["--set", "codex.release_after=60s"]).connect().await;
    let thread = begun(&server).await;
    queue(&world, &thread, "say two");
    // Codex looks for such messages every ten seconds.
    wait_for("the turn of Codex's own", || (world.model.requests().len() == 2).then_some(())).await;
    let two = server.call("wait", json!({"sessionId": "s", "turn": 2})).await.ok();
    assert_eq!(two["response"], "two", "{}", two.raw);
    let listed = server.call("listSessions", json!({})).await.ok();
    let session = &listed["sessions"][0];
    assert_eq!((&session["turnCount"], &session["usage"]["totalTokens"]), (&json!(2), &json!(240)));
}

#[tokio::test]
async fn a_turn_of_codex_s_own_counts_against_the_limits() {
    let world = World::new().await;
    let settings = ["--set", "codex.release_after=60s", "--set", "limits.turns_per_day=2"];
    let server = world.launch().args(settings).connect().await;
    let thread = begun(&server).await;
    queue_in_a_turn(&world, &server, &thread, "slow 60 never").await;
    let first = server.call("wait", json!({"sessionId": "s", "turn": 2})).await.ok();
    assert_eq!(first["response"], "first", "{}", first.raw);
    let third = json!({"sessionId": "s", "turn": 3});
    let mut refused = Value::Null;
    wait_until("the turn of Codex's own", async || {
        let read = server.call("getSession", third.clone()).await;
        refused = read["turns"][0].clone();
        refused["status"] == "failed"
    })
    .await;
    assert_eq!(
        (&refused["status"], &refused["prompt"]),
        (&json!("failed"), &json!("slow 60 never"))
    );
    assert!(refused["error"].as_str().unwrap().contains("day"), "{refused}");
}

#[tokio::test]
async fn calls_that_come_while_codex_begins_are_numbered_in_their_order_and_kept() {
    let world = World::new().await;
    let launch = world.launch().alone().args(["--set", "codex.release_after=0s"]);
    let server = launch.connect().await;
    let thread = begun(&server).await;
    queue(&world, &thread, "slow 3 two");
    for (number, prompt) in [(3, "say three"), (4, "say four")] {
        let call = json!({"prompt": prompt, "sessionId": "s", "waitSeconds": 0});
        let told = server.call("codex", call).await.ok();
        assert_eq!(
            (&told["status"], &told["turn"]),
            (&json!("running"), &json!(number)),
            "{}",
            told.raw
        );
    }
    let listed = server.call("listSessions", json!({})).await.ok();
    assert_eq!(listed["sessions"][0]["queued"], 2, "{}", listed.raw);
    // A kill loses none of them.
    try_signal(server.pid(), "KILL").await;
    let next = launch.connect().await;
    for (number, answer) in [(3, "three"), (4, "four")] {
        let done = next.call("wait", json!({"sessionId": "s", "turn": number})).await.ok();
        assert_eq!(done["response"], answer, "{}", done.raw);
    }
    let two = next.call("wait", json!({"sessionId": "s", "turn": 2})).await;
    two.failed_with("interrupted");
}

#[tokio::test]
async fn what_is_queued_in_a_turn_is_not_cut_off_by_giving_the_thread_up() {
    let world = World::new().await;
    let server = world.launch().args(["--set", "codex.release_after=0s"]).connect().await;
    let thread = begun(&server).await;
    for round in 1..5 {
        let slow = json!({"prompt": "slow 2 own", "sessionId": "s", "waitSeconds": 0});
        server.call("codex", slow).await.ok();
        queue(&world, &thread, &format!("say queued {round}"));
        server.call("wait", json!({"sessionId": "s", "turn": 2 * round})).await.ok();
        let queued = json!({"sessionId": "s", "turn": 2 * round + 1});
        wait_until("the turn of Codex's own", async || {
            let read = server.call("getSession", queued.clone()).await;
            read["turns"][0]["response"] == format!("queued {round}")
        })
        .await;
    }
}

#[tokio::test]
async fn what_waits_for_a_thread_at_rest_comes_before_a_call() {
    let world = World::new().await;
    let server = world.launch().args(["--set", "codex.release_after=60s"]).connect().await;
    let thread = begun(&server).await;
    queue(&world, &thread, "say two");
    let three = server.call("codex", json!({"prompt": "say three", "sessionId": "s"})).await.ok();
    assert_eq!((&three["response"], &three["turn"]), (&json!("three"), &json!(3)), "{}", three.raw);
    let expected = told(&[(1, "say one", "one"), (2, "say two", "two"), (3, "say three", "three")]);
    assert_eq!(turns(&server).await, expected);
}
