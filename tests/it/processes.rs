//! Codex as a process: shared, restarted, released, stopped, and never left behind.

use std::time::Duration;

use serde_json::json;
use testkit::{CODEX_VERSION, Client, client::signal, codex_cli, process, wait_for};

use crate::support::World;

fn codex_of(server: &Client) -> Option<u32> {
    // Between the server and Codex is the process that keeps what Codex starts.
    let is_codex = |pid: &u32| !process::command_line(*pid).contains("as-reaper");
    process::descendants(server.server_pid()).into_iter().find(is_codex)
}

/// Everything that was started in this world, whoever its parent is by now.
fn left_of(world: &World) -> Vec<u32> {
    process::mentioning(&world.home.path().to_string_lossy())
}

#[tokio::test]
async fn nothing_is_left_however_the_server_ends() {
    for end in ["close", "TERM", "INT", "HUP", "KILL"] {
        let world = World::new().await;
        let server = world.server().await;
        // One at rest and one in mid-turn, with a command of its own running.
        server.call("codex", json!({"prompt": "say hi", "sessionId": "rest"})).await.ok();
        let command = json!({"prompt": "run sleep 1000", "sessionId": "busy"});
        let call = json!({"name": "codex", "arguments": command});
        let (_, _running) = server.begin("tools/call", call).await;
        wait_for("the command to run", || {
            let all = left_of(&world);
            all.iter().any(|pid| process::command_line(*pid).contains("sleep 1000")).then_some(())
        })
        .await;
        match end {
            "close" => server.close_stdin().await,
            name => server.signal(name).await,
        }
        let status = server.exited().await;
        assert_eq!(status.success(), end != "KILL", "{end}: {status}");
        let home = world.home.path().to_string_lossy();
        process::all_gone(&home, &format!("after {end}")).await;

        let server = world.server().await;
        let kept = server.call("getSession", json!({"sessionId": "busy"})).await.ok();
        assert_eq!(kept["turns"][0]["status"], "interrupted", "{end}");
        let next =
            server.call("codex", json!({"prompt": "history", "sessionId": "busy"})).await.ok();
        assert_eq!(next["response"], "run sleep 1000", "{end}");
        assert_eq!(next["continuity"], "resumed", "{end}");
    }
}

#[tokio::test]
async fn a_call_under_way_is_answered_when_the_server_is_asked_to_end() {
    let world = World::new().await;
    let server = world.server().await;
    let slow = json!({"name": "codex", "arguments": {"prompt": "slow 60 never", "sessionId": "s"}});
    let (_, running) = server.begin("tools/call", slow).await;
    wait_for("the turn to run", || (world.model.open_streams() == 1).then_some(())).await;
    server.signal("TERM").await;
    let answer = running.wait("codex").await;
    assert_eq!(answer["result"]["structuredContent"]["code"], "interrupted", "{answer}");
    assert!(server.exited().await.success());
}

#[tokio::test]
async fn a_codex_that_dies_is_started_again_and_resumed() {
    let world = World::new().await;
    let server = world.server().await;
    server.call("codex", json!({"prompt": "say one", "sessionId": "s"})).await.ok();
    // Between turns.
    let codex = codex_of(&server).unwrap();
    signal(codex, "KILL").await;
    wait_for("Codex to be gone", || process::is_reaped(codex).then_some(())).await;
    let next = server.call("codex", json!({"prompt": "history", "sessionId": "s"})).await.ok();
    assert_eq!((&next["response"], &next["continuity"]), (&json!("say one"), &json!("resumed")));
    // In the middle of one.
    let slow = json!({"name": "codex", "arguments": {"prompt": "slow 60 never", "sessionId": "s"}});
    let (_, running) = server.begin("tools/call", slow).await;
    wait_for("the turn to run", || (world.model.open_streams() == 1).then_some(())).await;
    signal(codex_of(&server).unwrap(), "KILL").await;
    let answer = running.wait("codex").await;
    let failed = testkit::ToolResult::from_response("codex", &answer).failed_with("codex_exited");
    assert!(failed.text.contains("signal: 9"), "{}", failed.text);
    let next = server.call("codex", json!({"prompt": "say back", "sessionId": "s"})).await.ok();
    assert_eq!((&next["response"], &next["continuity"]), (&json!("back"), &json!("resumed")));
}

#[tokio::test]
async fn a_thread_at_rest_can_be_resumed_by_anybody() {
    let world = World::new().await;
    let server = world.server().await;
    let ours = server.call("codex", json!({"prompt": "say one", "sessionId": "s"})).await.ok();
    let thread = ours["threadId"].as_str().unwrap().to_owned();
    let codex = codex_cli::fetch(CODEX_VERSION).unwrap();
    let resume = async || {
        let output = tokio::process::Command::new(&codex)
            .args(["exec", "--skip-git-repo-check", "resume", &thread, "history"])
            .env_clear()
            .envs(world.home.env())
            .current_dir(world.home.work())
            .stdin(std::process::Stdio::null())
            .output()
            .await
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    // It may still be held for the moments in which a next turn is likely.
    let mut told = resume().await;
    for _ in 0..20 {
        if !told.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
        told = resume().await;
    }
    assert_eq!(told.trim(), "say one");
    // And back: what was said there is known here.
    let back = server.call("codex", json!({"prompt": "history", "sessionId": "s"})).await.ok();
    assert_eq!(
        (&back["response"], &back["continuity"]),
        (&json!("say one\nhistory"), &json!("resumed"))
    );
}

#[tokio::test]
async fn a_thread_somebody_else_holds_is_an_error_that_says_so() {
    let world = World::new().await;
    let server = world.launch().args(["--set", "codex.release_after=0s"]).connect().await;
    let ours = server.call("codex", json!({"prompt": "say one", "sessionId": "s"})).await.ok();
    let thread = ours["threadId"].as_str().unwrap().to_owned();
    // A terminal that goes on with the thread and is busy with it.
    let other = tokio::process::Command::new(codex_cli::fetch(CODEX_VERSION).unwrap())
        .args(["exec", "--skip-git-repo-check", "resume", &thread, "slow 60 never"])
        .env_clear()
        .envs(world.home.env())
        .current_dir(world.home.work())
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    wait_for("the terminal's turn to run", || (world.model.open_streams() == 1).then_some(()))
        .await;
    let held = server.call("codex", json!({"prompt": "say two", "sessionId": "s"})).await;
    let held = held.failed_with("thread_in_use");
    assert!(held.text.contains(&thread), "{}", held.text);
    drop(other);
    wait_for("the terminal to be gone", || (world.model.open_streams() == 0).then_some(())).await;
    let next = server.call("codex", json!({"prompt": "say two", "sessionId": "s"})).await.ok();
    assert_eq!((&next["response"], &next["continuity"]), (&json!("two"), &json!("resumed")));
}

#[tokio::test]
async fn an_idle_codex_is_stopped_and_comes_back_by_itself() {
    let world = World::new().await;
    let launch = world.launch().args(["--set", "codex.idle=1s", "--set", "codex.release_after=0s"]);
    let server = launch.connect().await;
    server.call("codex", json!({"prompt": "say one", "sessionId": "s"})).await.ok();
    let first = codex_of(&server).unwrap();
    wait_for("the idle Codex to stop", || codex_of(&server).is_none().then_some(())).await;
    let next = server.call("codex", json!({"prompt": "history", "sessionId": "s"})).await.ok();
    assert_eq!((&next["response"], &next["continuity"]), (&json!("say one"), &json!("resumed")));
    assert_ne!(codex_of(&server), Some(first));
}
