//! A queued call is a turn that is written down: it runs once and in order, or ends with a word, whatever becomes of the
//! server that it was sent to.

use serde_json::{Value, json};
use testkit::{Client, client::try_signal, process, wait::wait_until, wait_for};

use crate::support::World;

fn call(prompt: &str) -> Value {
    json!({"prompt": prompt, "sessionId": "s"})
}

/// A turn that runs, and five that wait behind it, of which three were handed back and two are attached to their calls. The
/// numbers of all are known.
async fn queued(world: &World, server: &Client) -> Vec<testkit::client::Answer> {
    let mut running = call("slow 30 first");
    running["detach"] = json!(true);
    running["waitSeconds"] = json!(0);
    server.call("codex", running).await.ok();
    wait_for("the turn to run", || (world.model.open_streams() == 1).then_some(())).await;
    let mut attached = Vec::new();
    for number in 2..=6 {
        let mut waiting = call(&format!("say answer {number}"));
        if number % 2 == 0 {
            // At once, or when it has waited for a while.
            waiting["waitSeconds"] = json!(u64::from(number == 4));
            let told = server.call("codex", waiting).await.ok();
            assert_eq!((&told["status"], &told["turn"]), (&json!("running"), &json!(number)));
        } else {
            let call = json!({"name": "codex", "arguments": waiting});
            attached.push(server.begin("tools/call", call).await.1);
            wait_until("the call to be written down", async || {
                states(server).await.len() == number
            })
            .await;
        }
    }
    attached
}

/// The numbers of the session's turns and how they are.
async fn states(server: &Client) -> Vec<(u64, String)> {
    let read = server.call("getSession", json!({"sessionId": "s"})).await.ok();
    let turns = read["turns"].as_array().unwrap().iter();
    turns
        .map(|turn| (turn["number"].as_u64().unwrap(), turn["status"].as_str().unwrap().to_owned()))
        .collect()
}

/// Each turn that was promised has run once and in order, and the others say why they did not.
async fn all_have_ended(world: &World, server: &Client) {
    // What was promised is neither deleted nor overtaken.
    server.call("deleteSession", json!({"sessionId": "s"})).await.failed_with("session_busy");
    let next = server.call("codex", call("say answer 7")).await.ok();
    assert_eq!((&next["turn"], &next["response"]), (&json!(7), &json!("answer 7")));
    for number in [2, 4, 6] {
        let waited = server.call("wait", json!({"sessionId": "s", "turn": number})).await.ok();
        assert_eq!(waited["response"], format!("answer {number}"), "{}", waited.raw);
        assert_eq!(waited["turn"], number);
    }
    for number in [3, 5] {
        let waited = server.call("wait", json!({"sessionId": "s", "turn": number})).await;
        let waited = waited.failed_with("cancelled");
        assert!(waited.text.contains("before it began"), "{}", waited.text);
    }
    let expected = [
        "interrupted",
        "completed",
        "cancelled",
        "completed",
        "cancelled",
        "completed",
        "completed",
    ];
    let expected: Vec<_> = (1..).zip(expected.map(str::to_owned)).collect();
    assert_eq!(states(server).await, expected);
    // What the model was asked, in order, and each once.
    let asked = asked(world);
    let asked: Vec<_> = asked.iter().filter(|prompt| prompt.starts_with("say answer")).collect();
    assert_eq!(asked, ["say answer 2", "say answer 4", "say answer 6", "say answer 7"]);
}

/// What the model was asked last in each request.
fn asked(world: &World) -> Vec<String> {
    world.model.requests().iter().filter_map(|request| request.prompts().pop()).collect()
}

#[tokio::test]
async fn what_a_killed_server_had_promised_comes_before_what_waits_on_another() {
    let world = World::new().await;
    let alone = world.launch().alone();
    let (one, two, three) = tokio::join!(alone.connect(), alone.connect(), alone.connect());
    let mut first = call("slow 3 first");
    first["waitSeconds"] = json!(0);
    one.call("codex", first).await.ok();
    for (server, number) in [(&two, 2), (&three, 3)] {
        let mut waiting = call(&format!("say {number}"));
        waiting["waitSeconds"] = json!(0);
        assert_eq!(server.call("codex", waiting).await.ok()["turn"], number);
    }
    try_signal(two.pid(), "KILL").await;
    let third = three.call("wait", json!({"sessionId": "s", "turn": 3})).await.ok();
    assert_eq!(third["response"], "3", "{}", third.raw);
    let second = three.call("wait", json!({"sessionId": "s", "turn": 2})).await.ok();
    assert_eq!(second["response"], "2", "{}", second.raw);
    assert_eq!(asked(&world), ["slow 3 first", "say 2", "say 3"]);
}

#[tokio::test]
async fn a_server_that_was_away_does_not_run_again_what_another_has_run() {
    let world = World::new().await;
    let alone = world.launch().alone().args(["--set", "session.lease=3s"]);
    let (one, two) = tokio::join!(alone.connect(), alone.connect());
    let mut first = call("slow 3 first");
    first["waitSeconds"] = json!(0);
    one.call("codex", first).await.ok();
    let mut waiting = call("say once");
    waiting["waitSeconds"] = json!(0);
    assert_eq!(two.call("codex", waiting).await.ok()["turn"], 2);
    try_signal(two.pid(), "STOP").await;
    let done = one.call("wait", json!({"sessionId": "s", "turn": 2})).await.ok();
    assert_eq!(done["response"], "once", "{}", done.raw);
    try_signal(two.pid(), "CONT").await;
    // It is asked, so it has seen by now that its turn is another's.
    let seen = two.call("wait", json!({"sessionId": "s", "turn": 2})).await;
    assert!(seen.is_error || seen["response"] == "once", "{}", seen.raw);
    let next = two.call("codex", call("say next")).await.ok();
    assert_eq!(next["response"], "next");
    assert_eq!(asked(&world), ["slow 3 first", "say once", "say next"]);
    let kept = one.call("wait", json!({"sessionId": "s", "turn": 2})).await.ok();
    assert_eq!(kept["response"], "once", "{}", kept.raw);
}

#[tokio::test]
async fn after_a_kill_the_next_server_runs_what_was_promised() {
    let world = World::new().await;
    let server = world.server().await;
    let attached = queued(&world, &server).await;
    for pid in [server.server_pid(), server.pid()] {
        try_signal(pid, "KILL").await;
        wait_for("the killed to be gone", || process::is_gone(pid).then_some(())).await;
    }
    drop(attached);
    all_have_ended(&world, &world.server().await).await;
}

#[tokio::test]
async fn after_an_orderly_stop_the_next_server_runs_what_was_promised() {
    let world = World::new().await;
    let server = world.server().await;
    let attached = queued(&world, &server).await;
    let pid = server.server_pid();
    try_signal(pid, "TERM").await;
    wait_for("the server to end", || process::is_gone(pid).then_some(())).await;
    drop((attached, server));
    all_have_ended(&world, &world.server().await).await;
}

#[tokio::test]
async fn a_turn_that_waits_on_one_server_is_followed_on_another() {
    let world = World::new().await;
    let alone = world.launch().alone();
    let (one, two) = tokio::join!(alone.connect(), alone.connect());
    let mut running = call("slow 2 first");
    running["waitSeconds"] = json!(0);
    one.call("codex", running).await.ok();
    let mut waiting = call("say second");
    waiting["waitSeconds"] = json!(0);
    assert_eq!(two.call("codex", waiting).await.ok()["turn"], 2);
    one.call("deleteSession", json!({"sessionId": "s"})).await.failed_with("session_busy");
    let done = one.call("wait", json!({"sessionId": "s", "turn": 2})).await.ok();
    assert_eq!((&done["response"], &done["turn"]), (&json!("second"), &json!(2)));
    let listed = one.call("listSessions", json!({})).await.ok();
    assert!(listed["sessions"][0].get("queued").is_none(), "{}", listed.raw);
}

#[tokio::test]
async fn a_queued_call_that_is_taken_back_ends_with_a_word_and_keeps_its_number() {
    let world = World::new().await;
    let server = world.server().await;
    let mut running = call("slow 30 first");
    running["waitSeconds"] = json!(0);
    server.call("codex", running).await.ok();
    let waiting = json!({"name": "codex", "arguments": call("say never")});
    let (id, _) = server.begin("tools/call", waiting).await;
    wait_until("the call to wait", async || states(&server).await.len() == 2).await;
    assert_eq!(states(&server).await[1], (2, "queued".to_owned()));
    let listed = server.call("listSessions", json!({})).await.ok();
    assert_eq!(listed["sessions"][0]["queued"], 1, "{}", listed.raw);
    let help = server.call("help", json!({})).await.ok();
    assert!(help.raw.to_string().contains("\"queued\":1"), "{}", help.raw);
    server.notify("notifications/cancelled", json!({"requestId": id})).await;
    wait_until("it to be cancelled", async || states(&server).await[1].1 == "cancelled").await;
    server.call("interrupt", json!({"sessionId": "s"})).await.ok();
    let next = server.call("codex", call("say next")).await.ok();
    assert_eq!((&next["turn"], &next["response"]), (&json!(3), &json!("next")));
}

#[tokio::test]
async fn a_call_made_again_after_a_kill_gets_the_turn_that_was_promised() {
    let world = World::new().await;
    let alone = world.launch().alone();
    let server = alone.connect().await;
    for prompt in ["slow 60 first", "say second", "say third"] {
        let mut call = call(prompt);
        call["waitSeconds"] = json!(0);
        server.call("codex", call).await.ok();
    }
    wait_for("the first turn", || (asked(&world).len() == 1).then_some(())).await;
    try_signal(server.pid(), "KILL").await;
    let next = alone.connect().await;
    let again = next.call("codex", call("say second")).await.ok();
    assert_eq!(
        (&again["response"], &again["turn"], &again["joined"]),
        (&json!("second"), &json!(2), &json!(true))
    );
    let third = next.call("wait", json!({"sessionId": "s", "turn": 3})).await.ok();
    assert_eq!(third["response"], "third", "{}", third.raw);
    assert_eq!(asked(&world), ["slow 60 first", "say second", "say third"]);
}
