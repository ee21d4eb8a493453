//! One host for all clients: who shares it, how it comes and goes, and what clients notice when it dies or hangs.

use std::{fs, path::PathBuf, process::Stdio, time::Duration};

use serde_json::{Value, json};
use testkit::{Client, Launch, ToolResult, client::signal, process, wait_for};

use crate::support::{World, script};

/// A server that has a host whatever the tests are run with.
pub(crate) fn shared(world: &World) -> Launch {
    world.launch().env("CODEX_MCP_SERVER_HOST_MODE", "auto")
}

pub(crate) async fn run<const N: usize>(
    launch: &Launch,
    words: [&str; N],
) -> (i32, String, String) {
    let mut command = launch.clone().args(words).command();
    let output = command.stdin(Stdio::null()).output().await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

pub(crate) async fn hosts(world: &World) -> Vec<Value> {
    let (code, out, err) = run(&shared(world), ["host", "status", "--json"]).await;
    assert_eq!(code, 0, "{err}");
    let status: Value = serde_json::from_str(&out).unwrap();
    status["hosts"].as_array().unwrap().clone()
}

pub(crate) fn host_folder(world: &World) -> PathBuf {
    world.home.state().join("codex-mcp-server/hosts")
}

pub(crate) fn is_bridge(client: &Client) -> bool {
    process::host_of(client.pid()).is_some()
}

pub(crate) async fn begin(server: &Client, world: &World, prompt: &str) -> testkit::client::Answer {
    let call = json!({"name": "codex", "arguments": {"prompt": prompt, "sessionId": "s"}});
    let (_, answer) = server.begin("tools/call", call).await;
    wait_for("the turn to run", || (world.model.open_streams() >= 1).then_some(())).await;
    answer
}

pub(crate) async fn end(pid: u32) {
    signal(pid, "KILL").await;
    wait_for("its end", || process::is_gone(pid).then_some(())).await;
}

pub(crate) async fn history(server: &Client) -> ToolResult {
    server.call("codex", json!({"prompt": "history", "sessionId": "s"})).await.ok()
}

#[tokio::test]
async fn thirty_clients_at_once_start_one_host_and_it_leaves_with_the_last() {
    let world = World::new().await;
    let launch = shared(&world);
    let clients = futures_util::future::join_all((0..30).map(|_| launch.connect())).await;
    let host = process::host_of(clients[0].pid()).unwrap();
    for client in &clients {
        assert_eq!(process::host_of(client.pid()), Some(host));
    }
    let found = hosts(&world).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((&found[0]["pid"], &found[0]["clients"]), (&json!(host), &json!(30)));
    assert!(found[0]["memoryBytes"].as_u64().unwrap() > 1_000_000, "{found:?}");
    futures_util::future::join_all(clients.iter().map(Client::close)).await;
    process::all_gone(&world.home.path().to_string_lossy(), "with its clients").await;
    let left: Vec<_> = fs::read_dir(host_folder(&world)).unwrap().flatten().collect();
    let sockets =
        left.iter().filter(|file| file.path().extension().is_some_and(|end| end == "sock"));
    assert_eq!(sockets.count(), 0, "{left:?}");
}

#[tokio::test]
async fn a_detached_turn_outlives_its_client_and_its_bridge() {
    let world = World::new().await;
    let launch = shared(&world);
    let server = launch.connect().await;
    let call = json!({"prompt": "slow 3 done alone", "sessionId": "s", "waitSeconds": 0});
    server.call("codex", call).await.ok();
    end(server.pid()).await;
    let listed = launch.connect().await;
    let sessions = listed.call("listSessions", json!({})).await.ok();
    assert_eq!(sessions["sessions"][0]["status"], "running", "{}", sessions.raw);
    end(listed.pid()).await;
    // Nobody at all for a while: the turn keeps the host alive.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let other = launch.connect().await;
    let waited = other.call("wait", json!({"sessionId": "s"})).await.ok();
    assert_eq!(waited["response"], "done alone");
    let kept = other.call("getSession", json!({"sessionId": "s"})).await.ok();
    assert_eq!(kept["turns"].as_array().unwrap().len(), 1, "{}", kept.raw);
    other.close().await;
    process::all_gone(&world.home.path().to_string_lossy(), "after the turn").await;
}

#[tokio::test]
async fn a_call_that_says_detach_outlives_its_window_and_one_that_is_made_again_gets_its_turn() {
    let world = World::new().await;
    let launch = shared(&world);
    let server = launch.connect().await;
    let call = json!({"prompt": "slow 2 done alone", "sessionId": "s", "detach": true});
    let attached = json!({"name": "codex", "arguments": call});
    let (_, _lost) = server.begin("tools/call", attached).await;
    wait_for("the turn to run", || (world.model.open_streams() == 1).then_some(())).await;
    end(server.pid()).await;
    let other = launch.connect().await;
    let joined = other.call("codex", call).await.ok();
    assert_eq!((&joined["response"], &joined["turn"]), (&json!("done alone"), &json!(1)));
    assert_eq!(joined["joined"], true, "{}", joined.raw);
}

#[tokio::test]
async fn a_detached_turn_ends_and_is_recorded_with_nobody_there() {
    let world = World::new().await;
    let server = shared(&world).connect().await;
    let call = json!({"prompt": "slow 1 kept", "sessionId": "s", "waitSeconds": 0});
    server.call("codex", call).await.ok();
    end(server.pid()).await;
    process::all_gone(&world.home.path().to_string_lossy(), "after the turn").await;
    let other = shared(&world).connect().await;
    assert_eq!(other.call("wait", json!({"sessionId": "s"})).await.ok()["response"], "kept");
}

#[tokio::test]
async fn closing_one_window_leaves_the_turns_of_another_alone() {
    let world = World::new().await;
    let launch = shared(&world);
    let (first, second) = (launch.connect().await, launch.connect().await);
    let running = begin(&first, &world, "slow 2 mine").await;
    let call = json!({"prompt": "slow 60 never", "sessionId": "theirs"});
    let call = json!({"name": "codex", "arguments": call});
    let (_, _held) = second.begin("tools/call", call).await;
    wait_for("both to run", || (world.model.open_streams() == 2).then_some(())).await;
    second.close().await;
    let answer = ToolResult::from_response("codex", &running.wait("codex").await).ok();
    assert_eq!(answer["response"], "mine");
    // The window that was closed took its own turn with it.
    let kept = first.call("getSession", json!({"sessionId": "theirs"})).await.ok();
    assert_eq!(kept["turns"][0]["status"], "interrupted", "{}", kept.raw);
}

#[tokio::test]
async fn what_is_asked_after_the_window_was_closed_is_answered_in_a_terminal() {
    let world = World::new().await;
    let launch = shared(&world);
    let server = launch.connect_with_user().await;
    let call = json!({"prompt": "escalate touch made", "sessionId": "s", "waitSeconds": 0});
    server.call("codex", call).await.ok();
    end(server.pid()).await;
    let mut open = Vec::new();
    for _ in 0..200 {
        let (_, out, _) = run(&launch, ["approvals", "--json"]).await;
        let listed: Value = serde_json::from_str(&out).unwrap();
        open.clone_from(listed["approvals"].as_array().unwrap());
        if !open.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let id = open[0]["id"].as_str().unwrap();
    assert_eq!(run(&launch, ["approvals", "answer", id, "accept"]).await.0, 0);
    let other = launch.connect().await;
    other.call("wait", json!({"sessionId": "s"})).await.ok();
    assert!(world.home.work().join("made").exists());
}

#[tokio::test]
async fn commands_see_the_environment_of_the_client_that_called() {
    let world = World::new().await;
    let ceiling = ["--set", "limits.sandbox_ceiling=danger-full-access"];
    let launch = shared(&world).args(ceiling);
    let path = format!("/no/such/folder:{}", std::env::var("PATH").unwrap());
    let launch = launch.env("MARK", "one");
    let here = launch.clone().env("TERM", "xterm").env("SHLVL", "3").connect().await;
    let same = launch.clone().env("TERM", "vt100").env("WINDOW_SESSION_ID", "2").connect().await;
    let other = launch.clone().env("PATH", path).env("MARK", "two").connect().await;
    let codex_home = world.home.path().join("other-codex");
    fs::create_dir(&codex_home).unwrap();
    fs::copy(world.home.codex_home().join("config.toml"), codex_home.join("config.toml")).unwrap();
    let elsewhere = launch.env("CODEX_HOME", codex_home.to_string_lossy()).connect().await;
    let host = |client: &Client| process::host_of(client.pid()).unwrap();
    assert_eq!(host(&here), host(&same));
    assert_ne!(host(&here), host(&other));
    assert_ne!(host(&here), host(&elsewhere));
    for (number, client) in [&here, &other, &elsewhere].into_iter().enumerate() {
        let prompt = format!("run printenv MARK CODEX_HOME > seen-{number}");
        let sandbox = "danger-full-access";
        let call = json!({"prompt": prompt, "sandbox": sandbox, "approvalPolicy": "never"});
        client.call("codex", call).await.ok();
    }
    let seen =
        |number: u32| fs::read_to_string(world.home.work().join(format!("seen-{number}"))).unwrap();
    let home = world.home.codex_home().display().to_string();
    assert_eq!(seen(0), format!("one\n{home}\n"));
    assert_eq!(seen(1), format!("two\n{home}\n"));
    assert_eq!(seen(2), format!("one\n{}\n", codex_home.display()));
    assert_eq!(hosts(&world).await.len(), 3);
}

#[tokio::test]
async fn each_client_works_where_it_was_started() {
    let world = World::new().await;
    let here = shared(&world).connect().await;
    let folder = world.home.path().join("elsewhere");
    fs::create_dir(&folder).unwrap();
    let there = shared(&world).directory(&folder).connect().await;
    assert_eq!(here.server_pid(), there.server_pid());
    for (client, expected) in [(&here, world.home.work()), (&there, folder)] {
        let answer = client.call("codex", json!({"prompt": "say hi"})).await.ok();
        assert_eq!(answer["workingDirectory"], json!(expected), "{}", answer.raw);
        let call = json!({"prompt": "say hi", "workingDirectory": "."});
        let answer = client.call("codex", call).await.ok();
        let said = PathBuf::from(answer["workingDirectory"].as_str().unwrap());
        assert_eq!(said.canonicalize().unwrap(), expected.canonicalize().unwrap());
    }
}

#[tokio::test]
async fn a_new_build_has_a_host_of_its_own_and_the_old_one_drains() {
    let world = World::new().await;
    let binary = world.home.path().join("codex-mcp-server");
    testkit::program::copy(env!("CARGO_BIN_EXE_codex-mcp-server"), &binary);
    let launch = shared(&world).binary(&binary);
    let old = launch.connect().await;
    let running = begin(&old, &world, "slow 2 by the old one").await;
    let new_binary = world.home.path().join("new");
    testkit::program::copy(env!("CARGO_BIN_EXE_codex-mcp-server"), &new_binary);
    fs::rename(&new_binary, &binary).unwrap();
    let new = launch.connect().await;
    assert_ne!(old.server_pid(), new.server_pid());
    let answer = ToolResult::from_response("codex", &running.wait("codex").await).ok();
    assert_eq!(answer["response"], "by the old one");
    assert_eq!(history(&new).await["response"], "slow 2 by the old one");
    // A client of the old one goes on with the new one.
    end(old.server_pid()).await;
    assert_eq!(history(&old).await["turn"], 3);
    assert_eq!(hosts(&world).await.len(), 1);
}

#[tokio::test]
async fn a_host_is_stopped_by_hand_but_not_while_turns_run() {
    let world = World::new().await;
    let launch = shared(&world);
    assert!(run(&launch, ["host", "stop"]).await.1.contains("No host"));
    let server = launch.connect().await;
    let running = begin(&server, &world, "slow 60 never").await;
    let host = server.server_pid();
    let (code, out, _) = run(&launch, ["host", "stop"]).await;
    assert!(code == 1 && out.contains("1 running turn."), "{out}");
    assert_eq!(hosts(&world).await[0]["runningTurns"], 1);
    let (code, out, _) = run(&launch, ["host", "stop", "--force"]).await;
    assert!(code == 0 && out.contains("has ended"), "{out}");
    assert!(process::is_gone(host));
    let answer = ToolResult::from_response("codex", &running.wait("codex").await);
    answer.failed_with("interrupted");
    // Its client goes on with another one.
    server.call("ping", json!({"message": "there?"})).await.ok();
    assert!(is_bridge(&server));
}

#[tokio::test]
async fn a_terminal_uses_the_host_if_one_runs_and_starts_none() {
    let world = World::new().await;
    let starts = world.home.path().join("starts");
    let codex = testkit::codex_cli::fetch(testkit::CODEX_VERSION).unwrap();
    let noted = format!("echo $1 >> {}\nexec {} \"$@\"", starts.display(), codex.display());
    let launch = shared(&world).env("CODEX_BIN", script(&world, "noted-codex", &noted));
    let (code, ..) = run(&launch, ["listSessions"]).await;
    assert_eq!(code, 0);
    assert!(hosts(&world).await.is_empty());
    let server = launch.connect().await;
    server.call("codex", json!({"prompt": "say one", "sessionId": "s"})).await.ok();
    let (code, out, err) = run(&launch, ["codex", "history", "--sessionId", "s"]).await;
    assert!(code == 0 && out.contains("say one"), "{out}{err}");
    let starts = fs::read_to_string(starts).unwrap();
    assert_eq!(starts.matches("app-server").count(), 1, "{starts}");
}

#[tokio::test]
async fn what_a_host_logs_is_in_a_file_that_doctor_names() {
    let world = World::new().await;
    let launch = shared(&world);
    let server = launch.connect().await;
    let (_, out, _) = run(&launch, ["doctor", "--json"]).await;
    let found: Value = serde_json::from_str(&out).unwrap();
    let check = found["checks"].as_array().unwrap().iter().find(|check| check["name"] == "host");
    let detail = check.unwrap()["detail"].as_str().unwrap();
    assert!(detail.contains(&server.server_pid().to_string()), "{detail}");
    assert!(detail.contains(&*host_folder(&world).to_string_lossy()), "{detail}");
    let log = hosts(&world).await[0]["log"].as_str().unwrap().to_owned();
    let log = fs::read_to_string(log).unwrap();
    assert!(log.contains("host started"), "{log}");
    assert_eq!(server.stderr(), "");
}

#[tokio::test]
async fn a_question_that_nobody_answers_is_declined_and_keeps_no_host_for_ever() {
    let world = World::new().await;
    let launch = shared(&world).args(["--set", "turn.question=1s"]);
    let server = launch.connect_with_user().await;
    let call = json!({"prompt": "escalate touch made", "sessionId": "s", "waitSeconds": 0});
    server.call("codex", call).await.ok();
    end(server.pid()).await;
    process::all_gone(&world.home.path().to_string_lossy(), "after the question").await;
    let other = launch.connect().await;
    let waited = other.call("wait", json!({"sessionId": "s"})).await.ok();
    assert!(waited["warnings"].to_string().contains("nobody answered"), "{}", waited.raw);
    assert!(!world.home.work().join("made").exists());
}

#[tokio::test]
async fn who_makes_files_with_other_rights_has_another_host() {
    let world = World::new().await;
    let strict = "umask 077; exec \"$0\" \"$@\"";
    let sh = |script: &str| {
        shared(&world)
            .binary("/bin/sh")
            .args(["-c"])
            .arg(script)
            .arg(env!("CARGO_BIN_EXE_codex-mcp-server"))
    };
    let first = sh(strict).connect().await;
    let second = sh("exec \"$0\" \"$@\"").connect().await;
    let third = sh(strict).connect().await;
    let host = |client: &Client| process::host_of(client.pid()).unwrap();
    assert_ne!(host(&first), host(&second));
    assert_eq!(host(&first), host(&third));
}
