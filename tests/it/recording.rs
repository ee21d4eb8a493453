//! What the record of a turn says is what happened, whatever happens to the store, to git and to the server.

use std::{fs, os::unix::fs::PermissionsExt, time::Duration};

use serde_json::{Value, json};
use sqlx::{Connection, Row, SqliteConnection, SqlitePool};
use testkit::{Client, client::try_signal, process, wait::wait_until, wait_for};

use crate::support::World;

async fn store(world: &World) -> SqlitePool {
    let file = format!("sqlite://{}", world.home.store().display());
    SqlitePool::connect(&file).await.unwrap()
}

async fn begin(server: &Client, prompt: &str) -> testkit::client::Answer {
    let call = json!({"prompt": prompt, "sessionId": "s"});
    server.begin("tools/call", json!({"name": "codex", "arguments": call})).await.1
}

/// Waits until the model is asked for the answer of a turn.
async fn runs(world: &World) {
    wait_for("the turn to run", || (world.model.open_streams() == 1).then_some(())).await;
}

async fn told(answer: testkit::client::Answer) -> Value {
    answer.wait("codex").await["result"]["structuredContent"].clone()
}

async fn recorded(server: &Client) -> Value {
    let read = server.call("getSession", json!({"sessionId": "s"})).await.ok();
    assert_ne!(read["status"], "running", "{}", read.raw);
    read["turns"].as_array().unwrap().last().unwrap().clone()
}

#[tokio::test]
async fn what_was_seen_of_a_turn_is_in_its_record_when_its_server_is_killed() {
    let world = World::new().await;
    let server = world.server().await;
    let answer = begin(&server, "linger echo seen").await;
    wait_for("the command", || (world.model.requests().len() == 2).then_some(())).await;
    // Nobody asks for it, and not a letter of the answer has come.
    let file = store(&world).await;
    wait_until("what is known of the turn to be recorded", async || {
        let read = sqlx::query(
            "SELECT details, (SELECT group_concat(item) FROM items WHERE session = 's') AS items FROM turns \
             WHERE session = 's'",
        );
        let read = read.fetch_one(&file).await.unwrap();
        let (details, items): (String, Option<String>) = (read.get("details"), read.get("items"));
        items.is_some_and(|items| items.contains("echo seen")) && details.contains("turnId")
    })
    .await;
    file.close().await;
    for pid in [server.server_pid(), server.pid()] {
        try_signal(pid, "KILL").await;
        wait_for("the killed to be gone", || process::is_gone(pid).then_some(())).await;
    }
    drop(answer);
    let server = world.server().await;
    let waited = server.call("wait", json!({"sessionId": "s", "turn": 1})).await;
    let waited = waited.failed_with("interrupted");
    assert!(waited.raw.to_string().contains("echo seen"), "{}", waited.raw);
}

#[tokio::test]
async fn every_message_is_recorded_in_its_place_with_what_was_done_in_between() {
    let world = World::new().await;
    let server = world.server().await;
    let done = server.call("codex", json!({"prompt": "work 5 0", "sessionId": "s"})).await.ok();
    assert_eq!(done["response"], "All 5 steps are done: ä, 😀 and **bold**.");
    assert_eq!(done["commands"].as_array().unwrap().len(), 5, "{}", done.raw);
    let turn = recorded(&server).await;
    // This Codex warns of a model that it does not know.
    let items = turn["items"].as_array().unwrap().iter();
    let items: Vec<_> = items.filter(|item| item["type"] != "warning").collect();
    let kinds: Vec<_> = items.iter().map(|item| item["type"].as_str().unwrap()).collect();
    let mut expected = ["message", "command"].repeat(5);
    expected.push("answer");
    assert_eq!(kinds, expected, "{turn}");
    for (number, step) in items.chunks(2).take(5).enumerate() {
        let said = format!("Step {0} begins: I look at part {0} of it, ä and 😀.", number + 1);
        assert_eq!(step[0]["text"], said);
        assert_eq!(step[1]["exitCode"], number, "{turn}");
        assert_eq!(step[1]["output"], format!("printed {}", number + 1), "{turn}");
    }
    // The same in the terminal, and in a fork.
    let fork = json!({"sessionId": "s", "newSessionId": "t"});
    server.call("forkSession", fork).await.ok();
    let copy = server.call("getSession", json!({"sessionId": "t"})).await.ok();
    assert_eq!(copy["turns"][0]["items"], turn["items"]);
    let shown = world.launch().args(["sessions", "show", "s"]).command().output().await.unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    let place = |text: &str| shown.find(text).unwrap_or_else(|| panic!("no `{text}` in {shown}"));
    assert!(
        place("Step 1 begins") < place("echo printed 1")
            && place("echo printed 1") < place("Step 2")
    );
    assert!(place("(exit 4)") < place("All 5 steps are done"), "{shown}");
}

#[tokio::test]
async fn the_end_of_a_turn_is_recorded_when_the_store_is_free_again() {
    let world = World::new().await;
    let server = world.server().await;
    let answer = begin(&server, "slow 1 done").await;
    runs(&world).await;
    let file = format!("sqlite://{}", world.home.store().display());
    let mut other = SqliteConnection::connect(&file).await.unwrap();
    // Longer than a statement waits for another writer.
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    tokio::time::sleep(Duration::from_secs(7)).await;
    sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
    let told = told(answer).await;
    assert_eq!((&told["status"], &told["response"]), (&json!("completed"), &json!("done")));
    assert!(!told["warnings"].to_string().contains("recorded"), "{told}");
    assert_eq!(recorded(&server).await["response"], "done");
}

#[tokio::test]
async fn a_store_that_refuses_for_good_withholds_no_answer() {
    let world = World::new().await;
    let server = world.server().await;
    let answer = begin(&server, "slow 1 done").await;
    runs(&world).await;
    let file = store(&world).await;
    sqlx::query("ALTER TABLE usage_by_day RENAME TO elsewhere").execute(&file).await.unwrap();
    let told = told(answer).await;
    assert_eq!((&told["status"], &told["response"]), (&json!("completed"), &json!("done")));
    let warnings = told["warnings"].to_string();
    assert!(warnings.contains("could not be fully recorded"), "{told}");
    sqlx::query("ALTER TABLE elsewhere RENAME TO usage_by_day").execute(&file).await.unwrap();
    file.close().await;
    // Nothing seems to run, and the session goes on.
    let next = server.call("codex", json!({"prompt": "say on", "sessionId": "s"})).await.ok();
    assert_eq!((&next["turn"], &next["response"]), (&json!(2), &json!("on")));
    let read = server.call("getSession", json!({"sessionId": "s"})).await.ok();
    assert_eq!(read["turns"][0]["status"], "interrupted", "{}", read.raw);
}

#[tokio::test]
async fn an_answer_is_recorded_before_git_is_asked_what_the_turn_left() {
    let world = World::new().await;
    world.home.repository();
    // A git that hangs once the turn has made this file.
    let (tools, flag) = (world.home.path().join("tools"), world.home.path().join("hang"));
    fs::create_dir(&tools).unwrap();
    let git = std::env::split_paths(&std::env::var_os("PATH").unwrap())
        .map(|folder| folder.join("git"))
        .find(|file| file.is_file())
        .unwrap();
    let script = format!(
        "#!/bin/sh\n[ -e {} ] && sleep 60\nexec {} \"$@\"\n",
        flag.display(),
        git.display()
    );
    fs::write(tools.join("git"), script).unwrap();
    fs::set_permissions(tools.join("git"), fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap());
    let launch = world.launch().env("PATH", path);
    let server = launch.connect().await;
    let call = json!({"prompt": "slow 1 done", "sessionId": "s", "worktree": true});
    let call = json!({"name": "codex", "arguments": call});
    let (_, answer) = server.begin("tools/call", call).await;
    runs(&world).await;
    fs::write(&flag, "").unwrap();
    wait_until("the answer to be recorded", async || {
        let read = server.call("getSession", json!({"sessionId": "s"})).await.ok();
        read["turns"][0]["status"] == "completed"
    })
    .await;
    let pid = server.server_pid();
    try_signal(pid, "KILL").await;
    wait_for("the killed to be gone", || process::is_gone(pid).then_some(())).await;
    drop(answer);
    fs::remove_file(&flag).unwrap();
    let server = launch.connect().await;
    assert_eq!(recorded(&server).await["response"], "done");
}

#[tokio::test]
async fn the_copy_of_a_turn_that_runs_does_not_run() {
    let world = World::new().await;
    let server = world.server().await;
    server.call("codex", json!({"prompt": "say hi", "sessionId": "s"})).await.ok();
    let answer = begin(&server, "slow 60 never").await;
    runs(&world).await;
    let fork = json!({"sessionId": "s", "newSessionId": "t", "turn": 2});
    server.call("forkSession", fork).await.ok();
    let read = server.call("getSession", json!({"sessionId": "t"})).await.ok();
    let statuses: Vec<_> =
        read["turns"].as_array().unwrap().iter().map(|turn| turn["status"].clone()).collect();
    assert_eq!(statuses, ["completed", "interrupted"], "{}", read.raw);
    assert_ne!(read["status"], "running", "{}", read.raw);
    server.call("interrupt", json!({"sessionId": "s"})).await.ok();
    drop(answer);
}
