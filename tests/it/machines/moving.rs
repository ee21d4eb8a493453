//! Histories that travel: a session goes on natively on another machine, or says why not.

use std::{fs, path::PathBuf};

use serde_json::{Value, json};
use testkit::{HttpClient, Postgres, ToolResult, client::signal, wait_for};

use super::{Machine, two};
use crate::support::World;

/// A turn, and its result.
async fn turn(client: &HttpClient, session: &str, prompt: &str) -> ToolResult {
    client.call("codex", json!({"prompt": prompt, "sessionId": session})).await.ok()
}

/// What the model knows and how Codex came to know it.
async fn known(client: &HttpClient, session: &str) -> (String, String) {
    let result = turn(client, session, "history").await;
    let text = |key: &str| result[key].as_str().unwrap_or_default().to_owned();
    let lines = text("response");
    let lines: Vec<_> = lines.lines().filter(|line| *line != "history").collect();
    (text("continuity"), lines.join(" "))
}

fn natively(lines: &str) -> (String, String) {
    ("resumed".to_owned(), lines.to_owned())
}

fn warned(result: &ToolResult, text: &str) -> bool {
    result["warnings"].to_string().contains(text)
}

/// The rollouts of a machine.
fn rollouts(machine: &Machine) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![machine.home.codex_home().join("sessions")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.path() {
                path if path.is_dir() => folders.push(path),
                path => found.push(path),
            }
        }
    }
    found
}

#[tokio::test]
async fn histories_travel_between_all_ages_of_codex() {
    let world = World::new().await;
    let database = Postgres::shared().database().await;
    // Up, down, and between the engines.
    for (old, new) in [
        ("0.50.0", "0.66.0"),
        ("0.66.0", "0.72.0"),
        ("0.72.0", "0.98.0"),
        ("0.98.0", "0.146.0"),
        ("0.120.0", "0.171.0"),
        ("0.50.0", "0.171.0"),
    ] {
        eprintln!("{old} to {new}");
        let session = format!("{old}-{new}").replace('.', "_");
        let one = Machine::with_codex(&world, "one", &database, old);
        let two = Machine::with_codex(&world, "two", &database, new);
        let (one, two) = (one.serve().await, two.serve().await);
        let (one, two) = (one.client(None), two.client(None));
        turn(&one, &session, "say first").await;
        assert_eq!(known(&two, &session).await, natively("say first"), "{old} to {new}");
        turn(&two, &session, "say second").await;
        assert_eq!(known(&one, &session).await, natively("say first say second"), "{new} to {old}");
        turn(&one, &session, "say third").await;
        let all = natively("say first say second say third");
        assert_eq!(known(&two, &session).await, all, "{old} to {new} again");
    }
}

#[tokio::test]
async fn forks_travel_with_what_they_come_from() {
    let (_world, one, two) = two().await;
    let (here, there) = (one.serve().await, two.serve().await);
    let (here, there) = (here.client(None), there.client(None));
    turn(&here, "s", "say first").await;
    turn(&here, "s", "say second").await;
    let fork = async |client: &HttpClient, name: &str, from: &str, turn: u32| {
        let fork = json!({"sessionId": from, "newSessionId": name, "turn": turn});
        let forked = client.call("forkSession", fork).await.ok();
        assert_eq!(forked["continuity"], "resumed", "{forked:?}");
    };
    // Made here and begun there; made there of what was here; and a fork of a fork.
    fork(&here, "a", "s", 1).await;
    assert_eq!(known(&there, "a").await, natively("say first"));
    fork(&there, "b", "s", 2).await;
    assert_eq!(known(&there, "b").await, natively("say first say second"));
    turn(&there, "b", "say third").await;
    fork(&there, "c", "b", 4).await;
    assert_eq!(known(&here, "c").await, natively("say first say second say third"));
    turn(&here, "s", "say on").await;
    assert_eq!(known(&there, "s").await, natively("say first say second say on"));
}

#[tokio::test]
async fn a_compacted_history_travels() {
    let (world, one, two) = two().await;
    for machine in [&one, &two] {
        let config = machine.home.codex_home().join("config.toml");
        let text = fs::read_to_string(&config).unwrap();
        fs::write(config, format!("model_auto_compact_token_limit = 60\n{text}")).unwrap();
    }
    let (here, there) = (one.serve().await, two.serve().await);
    let (here, there) = (here.client(None), there.client(None));
    for prompt in ["say first", "say second", "say third"] {
        turn(&here, "s", prompt).await;
    }
    let files = rollouts(&one);
    let text = fs::read_to_string(&files[0]).unwrap();
    assert!(text.contains("\"type\":\"compacted\""), "{text}");
    let moved = turn(&there, "s", "history").await;
    assert_eq!((&moved["continuity"], &moved["movedFrom"]), (&json!("resumed"), &json!("one")));
    let back = turn(&here, "s", "history").await;
    assert_eq!((&back["continuity"], &back["movedFrom"]), (&json!("resumed"), &json!("two")));
    let all = [&moved["response"], &back["response"]].map(Value::to_string).concat();
    assert!(all.contains("say third"), "{all}");
    drop(world);
}

#[tokio::test]
async fn what_a_killed_machine_had_begun_is_set_aside_there() {
    let (world, one, two) = two().await;
    let (mut here, there) = (one.serve().await, two.serve().await);
    let client = here.client(None);
    turn(&client, "s", "say first").await;
    let slow = json!({"prompt": "slow 60 never", "sessionId": "s", "waitSeconds": 0});
    client.call("codex", slow).await.ok();
    wait_for("the turn to run", || (world.model.open_streams() == 1).then_some(())).await;
    signal(here.pid(), "KILL").await;
    here.ended().await;
    testkit::process::all_gone(&one.home.path().to_string_lossy(), "after the kill").await;
    let there = there.client(None);
    // What was begun is in the record, and its prompt in no history.
    assert_eq!(known(&there, "s").await, natively("say first"));
    turn(&there, "s", "say second").await;
    let back = one.serve().await;
    let back = turn(&back.client(None), "s", "history").await;
    assert_eq!(back["response"], "say first\nhistory\nsay second");
    assert_eq!((&back["continuity"], &back["movedFrom"]), (&json!("resumed"), &json!("two")));
    assert!(warned(&back, ".aside"), "{back:?}");
    let files = rollouts(&one);
    let aside = files.iter().find(|path| path.extension().is_some_and(|end| end == "aside"));
    assert!(fs::read_to_string(aside.unwrap()).unwrap().contains("slow 60 never"));
}

#[tokio::test]
async fn what_is_too_long_is_said_and_rebuilt() {
    let (_world, one, two) = two().await;
    let short = ["store.rollout_bytes=2000"];
    let (here, there) = (one.serve_with(&short).await, two.serve_with(&short).await);
    let (here, there) = (here.client(None), there.client(None));
    let first = turn(&here, "s", "say first").await;
    assert!(warned(&first, "the limit is 2000"), "{first:?}");
    // At home nothing is lost.
    assert_eq!(known(&here, "s").await, natively("say first"));
    let moved = turn(&there, "s", "history").await;
    assert_eq!((&moved["continuity"], &moved["movedFrom"]), (&json!("rebuilt"), &Value::Null));
    assert!(warned(&moved, "its history was not kept: it has"), "{moved:?}");
    assert!(moved["response"].as_str().unwrap().contains("say first"), "{moved:?}");
}

#[tokio::test]
async fn histories_are_encrypted_if_there_is_a_key() {
    let (world, one, two) = two().await;
    let key = world.home.path().join("key");
    fs::write(&key, "no secret of 32 bytes, but as long as one").unwrap();
    let setting = format!("store.rollout_key={}", key.display());
    let (here, there) = (one.serve_with(&[&setting]).await, two.serve_with(&[&setting]).await);
    turn(&here.client(None), "s", "say first").await;
    assert_eq!(known(&there.client(None), "s").await, natively("say first"));
    drop(there);
    // Who has another key, or none, cannot go on with it and says so.
    fs::write(&key, "another of 32 bytes, and as long as one").unwrap();
    let stranger = two.serve_with(&[&setting]).await;
    turn(&here.client(None), "s", "say second").await;
    let moved = turn(&stranger.client(None), "s", "history").await;
    assert_eq!(moved["continuity"], "rebuilt");
    assert!(warned(&moved, "it is encrypted with another key"), "{moved:?}");
    fs::write(&key, "short").unwrap();
    let refused = two.launch.clone().args(["--set", &setting, "serve", "--http", "127.0.0.1:0"]);
    let said = refused.command().output().await.unwrap();
    assert!(String::from_utf8_lossy(&said.stderr).contains("shorter than 32 bytes"), "{said:?}");
}

#[tokio::test]
async fn a_damaged_history_is_rebuilt_and_never_half_resumed() {
    let world = World::new().await;
    let database = Postgres::shared().database().await;
    let (one, two) =
        (Machine::new(&world, "one", &database), Machine::new(&world, "two", &database));
    let (here, there) = (one.serve().await, two.serve().await);
    let (here, there) = (here.client(None), there.client(None));
    turn(&there, "s", "say first").await;
    turn(&here, "s", "say second").await;
    let damage = "UPDATE rollout_parts SET data = overlay(data placing 'xx'::bytea from 9)";
    assert!(Postgres::execute(&database, damage).await > 0);
    // What is there from before lacks a turn, also for a fork.
    let fork = json!({"sessionId": "s", "newSessionId": "f"});
    let forked = there.call("forkSession", fork).await.ok();
    assert_eq!(forked["continuity"], "rebuilt", "{forked:?}");
    let moved = turn(&there, "s", "history").await;
    assert_eq!(moved["continuity"], "rebuilt");
    assert!(warned(&moved, "cannot be read"), "{moved:?}");
    assert!(moved["response"].as_str().unwrap().contains("say second"), "{moved:?}");
    // Where it was, it is whole.
    assert_eq!(known(&there, "s").await.0, "resumed");
}

#[tokio::test]
async fn a_directory_of_another_machine_is_named_or_found() {
    let (world, one, two) = two().await;
    let (left, right) = (world.home.path().join("left"), world.home.path().join("right"));
    fs::create_dir_all(left.join("project")).unwrap();
    let here = one.serve().await;
    let directory = json!(left.join("project"));
    let first = json!({"prompt": "say first", "sessionId": "s", "workingDirectory": directory});
    here.client(None).call("codex", first).await.ok();
    fs::rename(&left, &right).unwrap();
    let there = two.serve().await;
    let ask = json!({"prompt": "history", "sessionId": "s"});
    let refused =
        there.client(None).call("codex", ask.clone()).await.failed_with("directory_unusable");
    assert!(refused.text.contains("the session worked in it on one"), "{}", refused.text);
    drop(there);
    let map = format!("store.path_map={{{left:?}={right:?}}}");
    let there = two.serve_with(&[&map]).await;
    let moved = there.client(None).call("codex", ask).await.ok();
    assert_eq!(moved["continuity"], "resumed");
    assert_eq!(moved["workingDirectory"], json!(right.join("project")));
}

#[tokio::test]
async fn with_sqlite_a_session_survives_a_lost_folder_of_codex() {
    for (keeps, continuity) in [("true", "resumed"), ("false", "rebuilt")] {
        let world = World::new().await;
        let launch = world.launch().args(["--set", &format!("store.keep_rollouts={keeps}")]);
        let server = launch.connect().await;
        server.call("codex", json!({"prompt": "say first", "sessionId": "s"})).await.ok();
        server.close().await;
        fs::remove_dir_all(world.home.codex_home().join("sessions")).unwrap();
        for file in fs::read_dir(world.home.codex_home()).unwrap().flatten() {
            if file.file_name().to_string_lossy().contains("sqlite") {
                fs::remove_file(file.path()).unwrap();
            }
        }
        let server = launch.connect().await;
        let again = server.call("codex", json!({"prompt": "history", "sessionId": "s"})).await.ok();
        assert_eq!((&again["continuity"], &again["movedFrom"]), (&json!(continuity), &Value::Null));
        assert!(again["response"].as_str().unwrap().contains("say first"), "{again:?}");
    }
}
