//! The tools as subcommands, over the same sessions that clients use.

use std::process::{Output, Stdio};

use serde_json::{Value, json};
use testkit::{process, wait_for};
use tokio::io::AsyncWriteExt;

use crate::support::World;
#[cfg(target_os = "linux")]
use crate::support::on_a_terminal;

async fn run<const N: usize>(world: &World, words: [&str; N]) -> Output {
    let mut command = world.launch().args(words).command();
    command.stdin(Stdio::null()).output().await.unwrap()
}

async fn piped<const N: usize>(world: &World, words: [&str; N], text: &str) -> Output {
    let mut child = world.launch().args(words).command().spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(text.as_bytes()).await.unwrap();
    drop(stdin);
    child.wait_with_output().await.unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

#[tokio::test]
async fn a_conversation_goes_on_between_terminal_and_client() {
    let world = World::new().await;
    let first =
        run(&world, ["codex", "--sessionId", "auth", "--model", "gpt-mock-2", "say one"]).await;
    assert_eq!((code(&first), out(&first).as_str()), (0, "one\n"), "{}", err(&first));
    assert!(err(&first).contains("[session auth · thread "), "{}", err(&first));
    let piped_in = piped(&world, ["codex", "--session-id", "auth"], "say two\n").await;
    assert_eq!(out(&piped_in), "two\n");
    let server = world.server().await;
    let seen = server.call("codex", json!({"prompt": "history", "sessionId": "auth"})).await.ok();
    assert_eq!(
        (&seen["response"], &seen["model"]),
        (&json!("say one\nsay two"), &json!("gpt-mock-2"))
    );
    let again = run(&world, ["codex", "--sessionId", "auth", "--json", "history"]).await;
    let again: Value = serde_json::from_str(&out(&again)).unwrap();
    assert_eq!(again["continuity"], "resumed");
    assert_eq!(again["response"], "say one\nsay two\nhistory");
}

#[tokio::test]
async fn what_is_wrong_is_said_on_stderr_and_by_the_exit_code() {
    let world = World::new().await;
    let wrong: [(&[&str], i32, &str); 7] = [
        (&["codex"], 2, "standard input is empty"),
        (&["codex", "--sandbox", "none-at-all", "x"], 2, "read-only"),
        (&["codex", "--sessionId", "no such", "x"], 2, "`sessionId`"),
        (&["codex", "--outputSchema", "[]", "x"], 2, "not a JSON object"),
        (&["codex", "--sandbox", "danger-full-access", "x"], 1, "limits.sandbox_ceiling"),
        (&["codex", "status 500"], 1, "Call again"),
        (&["wait", "nobody"], 1, "no session `nobody`"),
    ];
    for (words, expected, said) in wrong {
        let launch = words.iter().fold(world.launch(), |launch, word| launch.arg(*word));
        let output = launch.command().stdin(Stdio::null()).output().await.unwrap();
        assert_eq!(code(&output), expected, "{words:?}: {}", err(&output));
        assert!(err(&output).contains(said), "{words:?}: {}", err(&output));
        assert_eq!(out(&output), "", "{words:?}");
    }
}

#[tokio::test]
async fn sessions_are_listed_shown_exported_copied_and_deleted() {
    let world = World::new().await;
    assert_eq!(out(&run(&world, ["listSessions"]).await), "no sessions\n");
    run(&world, ["codex", "--sessionId", "one", "say # first"]).await;
    run(&world, ["codex", "--sessionId", "one", "say second"]).await;
    let table = out(&run(&world, ["listSessions"]).await);
    let mut lines = table.lines();
    assert!(lines.next().unwrap().starts_with("SESSION  STATUS     TURNS"), "{table}");
    assert!(lines.next().unwrap().starts_with("one      completed  2      just now"), "{table}");
    assert_eq!(out(&run(&world, ["sessions", "list"]).await), table);
    let shown = out(&run(&world, ["sessions", "show", "one"]).await);
    let has = |text: &str| shown.contains(text);
    assert!(has("\n> say # first\n\n") && has("\n\n# first\n\n## 2. "), "{shown}");
    let file = world.home.work().join("one.json");
    let path = file.to_str().unwrap();
    run(&world, ["sessions", "export", "one", "--format", "json", "-o", path]).await;
    let exported: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(exported["turns"][1]["response"], "second");
    let copied = run(&world, ["sessions", "fork", "one", "--as", "copy", "--turn", "1"]).await;
    assert_eq!(code(&copied), 0, "{}", err(&copied));
    assert_eq!(
        out(&run(&world, ["codex", "--sessionId", "copy", "history"]).await),
        "say # first\n"
    );
    let deleted = run(&world, ["sessions", "delete", "one", "nobody", "copy"]).await;
    assert_eq!((code(&deleted), out(&deleted).as_str()), (1, "deleted one\ndeleted copy\n"));
    assert!(err(&deleted).contains("no session `nobody`"));
    assert_eq!(out(&run(&world, ["listSessions"]).await), "no sessions\n");
}

#[tokio::test]
async fn long_sessions_and_answers_are_whole() {
    let world = World::new().await;
    let big = run(&world, ["codex", "--sessionId", "big", "big 200000"]).await;
    assert_eq!(out(&big).len(), 200_001);
    let shown = out(&run(&world, ["sessions", "show", "big", "--turn", "1"]).await);
    assert!(shown.len() > 200_000);
}

#[tokio::test]
async fn input_without_end_is_refused() {
    let world = World::new().await;
    let prompt = "x".repeat(1_100_000);
    let refused = piped(&world, ["codex", "-"], &prompt).await;
    assert_eq!(code(&refused), 2);
    assert!(err(&refused).contains("1100000 characters"), "{}", err(&refused));
    let mut command = world.launch().args(["codex"]).command();
    let zero = std::fs::File::open("/dev/zero").unwrap();
    let refused = command.stdin(Stdio::from(zero)).output().await.unwrap();
    assert_eq!((code(&refused), out(&refused).as_str()), (2, ""));
    assert!(err(&refused).contains("too long"), "{}", err(&refused));
}

#[tokio::test]
async fn a_turn_of_another_process_is_waited_for_and_stopped() {
    let world = World::new().await;
    let server = world.server().await;
    let slow = json!({"prompt": "slow 60 never", "sessionId": "s", "waitSeconds": 0});
    server.call("codex", slow).await.ok();
    wait_for("the turn to run", || (world.model.open_streams() == 1).then_some(())).await;
    let waited = run(&world, ["wait", "s", "--waitSeconds", "1"]).await;
    assert_eq!(code(&waited), 3, "{}", err(&waited));
    let refused = run(&world, ["codex", "--sessionId", "s", "--onBusy", "reject", "x"]).await;
    assert_eq!(code(&refused), 1);
    let stopped = run(&world, ["interrupt", "s"]).await;
    assert_eq!(code(&stopped), 0, "{}", err(&stopped));
    assert_eq!(out(&run(&world, ["codex", "--sessionId", "s", "say on"]).await), "on\n");
}

#[tokio::test]
async fn an_interrupt_keeps_the_session_and_leaves_nothing_running() {
    let world = World::new().await;
    let mark = world.home.path().to_string_lossy().into_owned();
    let launch = world.launch().args(["codex", "--sessionId", "s", "slow 60 never"]);
    let mut child = launch.command().stdin(Stdio::null()).spawn().unwrap();
    wait_for("the turn to run", || (world.model.open_streams() == 1).then_some(())).await;
    testkit::client::signal(child.id().unwrap(), "INT").await;
    assert_eq!(child.wait().await.unwrap().code(), Some(130));
    process::all_gone(&mark, "an interrupt").await;
    let table = out(&run(&world, ["listSessions"]).await);
    assert!(table.contains("s        interrupted"), "{table}");
    assert_eq!(out(&run(&world, ["codex", "--sessionId", "s", "say on"]).await), "on\n");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_terminal_shows_what_happens_and_asks() {
    let world = World::new().await;
    let words = "codex --sessionId s --sandbox workspace-write 'escalate echo from-the-shell'";
    let (shown, code) = on_a_terminal(&world, words, &[("Decision [1-", "1\r")]).await;
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("Codex asks to run a command"), "{shown}");
    assert!(shown.contains("• running `echo from-the-shell`"), "{shown}");
    assert!(shown.contains("tokens · "), "{shown}");
    assert!(shown.contains("ran: ") && shown.contains("[session s · "), "{shown}");
    let (shown, code) = on_a_terminal(&world, words, &[("Decision [1-", "\r")]).await;
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("declined"), "{shown}");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn control_c_stops_the_turn_and_not_the_session() {
    let world = World::new().await;
    for (prompt, until) in
        [("slow 60 never", "asking the model"), ("escalate touch no", "Decision [1-")]
    {
        let words = format!("codex --sessionId s --sandbox workspace-write '{prompt}'");
        let (shown, code) = on_a_terminal(&world, &words, &[(until, "\u{3}")]).await;
        assert_eq!(code, Some(130), "{shown}");
        let table = out(&run(&world, ["listSessions"]).await);
        assert!(table.contains("s        interrupted"), "{table}");
    }
    assert!(!world.home.work().join("no").exists());
}

#[tokio::test]
async fn help_is_a_tool_too() {
    let world = World::new().await;
    let help = out(&run(&world, ["help"]).await);
    assert!(help.contains("sessionId") && help.contains("driven by app-server"), "{help}");
    for words in [["--help", "-h"], ["codex", "--help"]] {
        let usage = out(&run(&world, words).await);
        assert!(usage.contains("Usage: codex-mcp-server"), "{usage}");
    }
}

#[tokio::test]
async fn completions_and_a_manual_are_printed() {
    let world = World::new().await;
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let printed = out(&run(&world, ["completions", shell]).await);
        assert!(printed.contains("sessionId") && printed.contains("doctor"), "{shell}");
    }
    let manual = out(&run(&world, ["man"]).await);
    assert!(manual.contains(".TH codex-mcp-server") && manual.contains("listSessions"), "{manual}");
}

#[tokio::test]
async fn every_argument_and_every_name_is_taken() {
    let world = World::new().await;
    let waited = run(&world, ["codex", "--waitSeconds", "0", "--sessionId", "-x", "say hi"]).await;
    assert_eq!((code(&waited), out(&waited).as_str()), (0, "hi\n"), "{}", err(&waited));
    assert!(err(&waited).contains("--waitSeconds has no effect"), "{}", err(&waited));
    let again = run(&world, ["wait", "-x"]).await;
    assert_eq!((code(&again), out(&again).as_str()), (0, "hi\n"), "{}", err(&again));
    let shown = run(&world, ["sessions", "show", "-x"]).await;
    assert!(out(&shown).contains("say hi"), "{}", err(&shown));
    assert_eq!(out(&run(&world, ["ping", "--message", "there"]).await), "there\n");
    let steered = run(&world, ["steer", "-x", "more"]).await;
    assert_eq!(code(&steered), 1, "{}", err(&steered));
    assert!(err(&steered).contains("is not running a turn"), "{}", err(&steered));
    assert_eq!(out(&run(&world, ["sessions", "delete", "-x"]).await), "deleted -x\n");
}

#[tokio::test]
async fn help_explains_a_command() {
    let world = World::new().await;
    for words in [&["help", "codex"][..], &["help", "sessions", "export"], &["help", "help"]] {
        let launch = words.iter().fold(world.launch(), |launch, word| launch.arg(*word));
        let helped = launch.command().stdin(Stdio::null()).output().await.unwrap();
        assert_eq!(code(&helped), 0, "{words:?}: {}", err(&helped));
        let usage = format!("Usage: codex-mcp-server {}", words[1..].join(" "));
        assert!(out(&helped).contains(&usage), "{words:?}: {}", out(&helped));
    }
    let unknown = run(&world, ["help", "nothing"]).await;
    assert_eq!(code(&unknown), 2);
    assert!(err(&unknown).contains("`nothing`"), "{}", err(&unknown));
}

#[cfg(unix)]
#[tokio::test]
async fn a_reader_that_has_read_enough_is_no_error() {
    let world = World::new().await;
    for words in [
        &["man"][..],
        &["config", "schema"],
        &["config", "show"],
        &["completions", "bash"],
        &["help"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let launch = words.iter().fold(world.launch(), |launch, word| launch.arg(*word));
        let mut command = launch.command();
        let child = command.stdin(Stdio::null()).stdout(writer).spawn().unwrap();
        drop(command);
        let output = child.wait_with_output().await.unwrap();
        assert_eq!((code(&output), err(&output).as_str()), (0, ""), "{words:?}");
    }
}

#[tokio::test]
async fn an_error_is_json_where_json_is_wanted() {
    let world = World::new().await;
    for words in [
        ["sessions", "show", "--json", "nosuch"],
        ["sessions", "export", "--format=json", "nosuch"],
        ["getSession", "--json", "--sessionId", "nosuch"],
    ] {
        let output = run(&world, words).await;
        assert_eq!(code(&output), 1, "{words:?}");
        let printed: Value = serde_json::from_str(&out(&output)).unwrap();
        assert_eq!(printed["code"], "unknown_session", "{words:?}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn an_export_replaces_nothing_unasked_and_is_private() {
    use std::os::unix::fs::PermissionsExt;

    let world = World::new().await;
    run(&world, ["codex", "--sessionId", "s", "say first"]).await;
    let file = world.home.work().join("s.md");
    let path = file.to_str().unwrap();
    let mode = || std::fs::metadata(&file).unwrap().permissions().mode() & 0o777;
    assert_eq!(code(&run(&world, ["sessions", "export", "s", "-o", path]).await), 0);
    assert_eq!(mode(), 0o600);
    std::fs::write(&file, "mine").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let refused = run(&world, ["sessions", "export", "s", "-o", path]).await;
    assert_eq!(code(&refused), 1);
    assert!(err(&refused).contains("--force"), "{}", err(&refused));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
    let forced = run(&world, ["sessions", "export", "s", "--force", "-o", path]).await;
    assert_eq!(code(&forced), 0, "{}", err(&forced));
    assert!(std::fs::read_to_string(&file).unwrap().contains("first"));
    assert_eq!(mode(), 0o600);
}

#[tokio::test]
async fn models_are_a_table() {
    let world = World::new().await;
    let table = run(&world, ["listModels"]).await;
    assert_eq!(code(&table), 0, "{}", err(&table));
    let table = out(&table);
    let mut lines = table.lines();
    let title = lines.next().unwrap();
    assert!(title.starts_with("MODEL") && title.contains("EFFORTS"), "{table}");
    let json = out(&run(&world, ["listModels", "--json"]).await);
    let json: Value = serde_json::from_str(&json).unwrap();
    let models = json["models"].as_array().unwrap();
    assert_eq!(models.len() + 1, lines.count(), "{table}");
    assert!(table.contains(models[0]["id"].as_str().unwrap()), "{table}");
}
