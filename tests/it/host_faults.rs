//! A host that dies, hangs or cannot be had: what its clients notice, and how they go on.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, time::Duration};

use serde_json::json;
use testkit::{ToolResult, client::signal, process, wait_for};

use crate::{
    hosting::{begin, end, history, host_folder, hosts, is_bridge, run, shared},
    support::World,
};

#[tokio::test]
async fn a_client_outlives_its_host_and_goes_on_where_it_was() {
    let world = World::new().await;
    let server = shared(&world).connect().await;
    server.call("codex", json!({"prompt": "say one", "sessionId": "s"})).await.ok();
    let subscribe = json!({"uri": "codex://sessions/s"});
    server.request("resources/subscribe", subscribe).await;
    let host = server.server_pid();
    let running = begin(&server, &world, "slow 60 never").await;
    end(host).await;
    let lost = ToolResult::from_response("codex", &running.wait("codex").await);
    let lost = lost.failed_with("host_restarted");
    assert!(lost.text.contains("`s`") && lost.text.contains("getSession"), "{}", lost.text);
    let kept = server.call("getSession", json!({"sessionId": "s"})).await.ok();
    assert_eq!(kept["turns"][1]["status"], "interrupted", "{}", kept.raw);
    let next = history(&server).await;
    assert_eq!(next["continuity"], "resumed");
    assert!(next["response"].as_str().unwrap().starts_with("say one"), "{}", next.raw);
    assert_ne!(server.server_pid(), host);
    let told = || server.notifications("notifications/resources/updated").pop();
    let told = wait_for("to be told of the new turn", told).await;
    assert_eq!(told["params"]["uri"], "codex://sessions/s");
    assert!(server.close().await.success());
    process::all_gone(&world.home.path().to_string_lossy(), "in the end").await;
}

#[tokio::test]
async fn an_idle_client_notices_nothing_of_a_host_that_died() {
    let world = World::new().await;
    let server = shared(&world).connect().await;
    server.call("codex", json!({"prompt": "say one", "sessionId": "s"})).await.ok();
    for _ in 0..3 {
        end(server.server_pid()).await;
        server.call("ping", json!({"message": "there?"})).await.ok();
    }
    assert_eq!(history(&server).await["response"], "say one");
}

/// `HOST_KILLS` is how often.
#[tokio::test]
async fn a_host_that_is_killed_at_any_moment_takes_nothing_answered_with_it() {
    let rounds =
        std::env::var("HOST_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(6_u64);
    let world = World::new().await;
    let launch = shared(&world);
    let clients = [launch.connect().await, launch.connect().await];
    let mut answered = [0_u64; 2];
    for round in 0..rounds {
        let calls = [0, 1].map(|number: usize| {
            let prompt = format!("slow 0.1 done-{number}-{round}");
            json!({"name": "codex", "arguments": {"prompt": prompt, "sessionId": format!("s{number}")}})
        });
        let [first, second] = calls;
        let (_, first) = clients[0].begin("tools/call", first).await;
        let (_, second) = clients[1].begin("tools/call", second).await;
        // Any moment will do, as long as they differ.
        tokio::time::sleep(Duration::from_millis(round * 37 % 300)).await;
        end(clients[0].server_pid()).await;
        for (number, answer) in [first, second].into_iter().enumerate() {
            let answer = answer.wait("codex").await;
            let result = &answer["result"]["structuredContent"];
            if result["status"] == "completed" {
                assert_eq!(result["response"], format!("done-{number}-{round}"));
                answered[number] = result["turn"].as_u64().unwrap();
            } else {
                assert_eq!(result["code"], "host_restarted", "round {round}: {answer}");
            }
            let session = format!("s{number}");
            let next = json!({"prompt": "say on", "sessionId": session});
            let next = clients[number].call("codex", next).await.ok();
            assert_eq!(next["response"], "on", "round {round}");
            let turn = json!({"sessionId": session, "turn": answered[number].max(1)});
            let kept = clients[number].call("getSession", turn).await.ok();
            if answered[number] > 0 {
                assert_eq!(kept["turns"][0]["status"], "completed", "round {round}: {}", kept.raw);
            }
        }
    }
    for client in &clients {
        assert!(client.close().await.success());
    }
    process::all_gone(&world.home.path().to_string_lossy(), "in the end").await;
}

#[tokio::test]
async fn a_host_that_is_suspended_for_a_while_goes_on() {
    let world = World::new().await;
    let server = shared(&world).connect().await;
    let running = begin(&server, &world, "slow 3 after all").await;
    let host = server.server_pid();
    signal(host, "STOP").await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    signal(host, "CONT").await;
    let answer = ToolResult::from_response("codex", &running.wait("codex").await).ok();
    assert_eq!(answer["response"], "after all");
}

#[tokio::test]
async fn a_host_that_hangs_is_given_up() {
    let world = World::new().await;
    let server = shared(&world).connect().await;
    server.call("codex", json!({"prompt": "say one", "sessionId": "s"})).await.ok();
    let host = server.server_pid();
    signal(host, "STOP").await;
    let listed = server.call("listSessions", json!({})).await.ok();
    assert_eq!(listed["sessions"][0]["id"], "s", "{}", listed.raw);
    assert!(server.stderr().contains("does not answer any more"), "{}", server.stderr());
    // A new client does not wait for it either.
    let other = shared(&world).connect().await;
    other.call("listSessions", json!({})).await.ok();
    assert!(!is_bridge(&other));
    assert!(other.stderr().contains("a server of its own"), "{}", other.stderr());
    end(host).await;
}

#[tokio::test]
async fn a_stale_socket_is_no_host() {
    let world = World::new().await;
    let first = shared(&world).connect().await;
    end(first.server_pid()).await;
    // The dead one's socket is still there.
    let sockets = || fs::read_dir(host_folder(&world)).unwrap().flatten();
    assert!(sockets().any(|file| file.path().extension().is_some_and(|end| end == "sock")));
    let second = shared(&world).connect().await;
    second.call("listSessions", json!({})).await.ok();
    assert!(is_bridge(&second));
}

#[tokio::test]
async fn a_client_that_can_have_no_host_is_served_all_the_same_and_the_log_says_why() {
    let world = World::new().await;
    let folder = host_folder(&world);
    fs::create_dir_all(&folder).unwrap();
    // Others could put something there. What they could only look into is closed to them.
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
    let server = shared(&world).connect().await;
    let answer = server.call("codex", json!({"prompt": "say hi"})).await.ok();
    assert_eq!(answer["response"], "hi");
    assert!(!is_bridge(&server));
    assert!(server.stderr().contains("is not for this user alone"), "{}", server.stderr());

    // A host that ends before it serves.
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
    let probe = shared(&world).connect().await;
    let host = probe.server_pid();
    let log = PathBuf::from(hosts(&world).await[0]["log"].as_str().unwrap());
    let socket = log.with_extension("sock");
    probe.close().await;
    wait_for("its end", || process::is_gone(host).then_some(())).await;
    fs::create_dir(&socket).unwrap();
    let server = shared(&world).connect().await;
    server.call("listSessions", json!({})).await.ok();
    assert!(server.stderr().contains("the host ended at once"), "{}", server.stderr());
}

#[tokio::test]
async fn a_client_that_nobody_can_serve_is_told_and_served_once_somebody_can() {
    let world = World::new().await;
    let config = world.home.path().join("config.toml");
    fs::write(&config, "").unwrap();
    let server = shared(&world).args(["--config", config.to_str().unwrap()]).connect().await;
    server.call("codex", json!({"prompt": "say one", "sessionId": "s"})).await.ok();
    // From now on neither a host nor a server can be started.
    fs::write(&config, "no = such key").unwrap();
    end(server.server_pid()).await;
    for method in ["tools/list", "prompts/list"] {
        let refused = server.request(method, json!({})).await;
        assert_eq!(refused["error"]["code"], -32603, "{refused}");
    }
    assert!(process::children(server.pid()).is_empty(), "what was tried is gone");
    fs::write(&config, "").unwrap();
    assert_eq!(history(&server).await["response"], "say one");
    assert!(server.close().await.success());
    process::all_gone(&world.home.path().to_string_lossy(), "in the end").await;
}

#[tokio::test]
async fn a_host_that_hangs_is_named_by_those_who_look_for_it() {
    let world = World::new().await;
    let launch = shared(&world);
    let server = launch.connect().await;
    let host = server.server_pid();
    signal(host, "STOP").await;
    for words in [["host", "status"], ["host", "stop"]] {
        let (code, out, _) = run(&launch, words).await;
        assert!(code == 1 && out.contains(&format!("{host} does not answer")), "{words:?}: {out}");
    }
    let (_, out, _) = run(&launch, ["doctor", "--json"]).await;
    assert!(out.contains(&format!("process {host} does not answer")), "{out}");
    end(host).await;
    // What it has left is no host.
    assert!(hosts(&world).await.is_empty());
    server.close().await;
    let next = launch.connect().await;
    next.call("ping", json!({})).await.ok();
    assert_eq!(hosts(&world).await.len(), 1);
}
