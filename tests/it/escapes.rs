//! What a model writes cannot act on the terminal it is shown on, nor on the person who is asked.
#![cfg(target_os = "linux")]

use std::{fs, process::Stdio};

use serde_json::json;
use testkit::wait_for;

use crate::support::{World, on_a_terminal};

/// Sets the title, clears the screen, turns the order of letters round.
const HOSTILE: &str = "AA \u{1b}]0;pwn\u{7} BB \u{1b}[2J\u{9b}31m\u{202e}CC";

/// The same as it is to be shown.
const SHOWN: &str = r"AA \u{1b}]0;pwn\u{7} BB \u{1b}[2J\u{9b}31m\u{202e}CC";

/// Shows another command than it runs.
const SPOOF: &str = "escalate touch PWNED; : \u{1b}[2K\rls -l";

fn assert_harmless(shown: &str, what: &str) {
    for hidden in ["\u{1b}]0;pwn", "\u{1b}[2J", "\u{9b}", "\u{202e}", "\u{7}"] {
        assert!(!shown.contains(hidden), "{what}: {shown:?}");
    }
}

#[tokio::test]
async fn a_terminal_shows_escapes_as_text() {
    let world = World::new().await;
    fs::write(world.home.work().join("prompt"), format!("say {HOSTILE}")).unwrap();
    let directory = world.home.work().join("d\u{1b}]0;pwn\u{7}");
    fs::create_dir(&directory).unwrap();
    let words = "codex --sessionId s --workingDirectory \"$(ls -d d*)\" < prompt";
    let (shown, code) = on_a_terminal(&world, words, &[]).await;
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains(SHOWN), "{shown:?}");
    assert_harmless(&shown, "an answer");
    for words in [
        "sessions show s",
        "sessions show s --json",
        "listSessions",
        "getSession s",
        "sessions export s",
        "codex --sessionId \"$(cat prompt)\" x",
        "--set \"$(cat prompt)\" ping",
        "wait \"$(cat prompt)\"",
    ] {
        let (shown, _) = on_a_terminal(&world, words, &[]).await;
        assert_harmless(&shown, words);
    }
    let (shown, _) = on_a_terminal(&world, "sessions show s", &[]).await;
    assert!(shown.contains(SHOWN), "{shown:?}");
    let (shown, _) = on_a_terminal(&world, "listSessions", &[]).await;
    assert!(shown.contains(r"d\u{1b}]0;pwn\u{7}"), "{shown:?}");
}

#[tokio::test]
async fn a_pipe_gets_the_bytes_as_they_are() {
    let world = World::new().await;
    let prompt = format!("say {HOSTILE}");
    let mut command = world.launch().args(["codex", "--sessionId", "s", &prompt]).command();
    let output = command.stdin(Stdio::null()).output().await.unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{HOSTILE}\n"));
    let mut command = world.launch().args(["sessions", "show", "s"]).command();
    let output = command.stdin(Stdio::null()).output().await.unwrap();
    assert!(String::from_utf8(output.stdout).unwrap().contains(HOSTILE));
}

#[tokio::test]
async fn a_question_shows_the_command_that_will_run() {
    let world = World::new().await;
    fs::write(world.home.work().join("prompt"), SPOOF).unwrap();
    let words = "codex --sandbox workspace-write \"$(cat prompt)\"";
    let (shown, code) = on_a_terminal(&world, words, &[("Decision [1-", "\r")]).await;
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains(r"touch PWNED; : \u{1b}[2K\u{d}ls -l"), "{shown:?}");
    // The spinner clears its own line; nothing of the command may come after that.
    assert!(!shown.contains("\u{1b}[2K\rls -l"), "{shown:?}");
    assert!(!world.home.work().join("PWNED").exists());
}

#[tokio::test]
async fn a_client_is_sent_questions_and_progress_without_escapes() {
    let world = World::new().await;
    let server = world.launch().connect_with_user().await;
    let call = json!({"prompt": SPOOF, "sandbox": "workspace-write", "sessionId": "s"});
    let (_, answer) = server.call_with_progress("codex", call, "t").await;
    let asked =
        wait_for("a question", || server.asked("elicitation/create").first().cloned()).await;
    let message = asked["params"]["message"].as_str().unwrap();
    assert!(message.contains(r"touch PWNED; : \u{1b}[2K\u{d}ls -l'"), "{message:?}");
    server.respond(&asked, json!({"action": "accept", "content": {"decision": "decline"}})).await;
    answer.wait("codex").await;
    let told = server.progress("t");
    let told: Vec<_> = told.iter().map(|(_, message)| message.as_str()).collect();
    assert!(told.iter().any(|message| message.contains(r"PWNED; : \u{1b}[2K")), "{told:?}");
    assert!(!told.iter().any(|message| message.contains('\u{1b}')), "{told:?}");
}
