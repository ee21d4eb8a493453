//! Processes that are killed at any moment of a turn: nothing that was answered is lost, no session
//! becomes unusable, nothing is left running.
//!
//! `KILLS` is how often; a failure prints the seed that repeats it with `SEED`.

use std::{
    collections::HashMap,
    env,
    hash::{BuildHasher, Hasher, RandomState},
    time::Duration,
};

use serde_json::json;
use testkit::{Client, client::try_signal, process, wait::wait_until, wait_for};

use crate::support::World;

const SESSIONS: [&str; 3] = ["a", "b", "c"];

/// Xorshift: any sequence will do, as long as it can be repeated.
struct Dice(u64);

impl Dice {
    fn up_to(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

fn setting(name: &str) -> Option<u64> {
    env::var(name).ok()?.parse().ok()
}

async fn kill(pids: &[u32]) {
    for pid in pids {
        // It may be at its end.
        try_signal(*pid, "KILL").await;
    }
    // A dying process may still take a request, which is then lost with it.
    for pid in pids {
        wait_for("the killed to be gone", || process::is_gone(*pid).then_some(())).await;
    }
}

#[tokio::test]
async fn kills_at_any_moment_lose_nothing() {
    let rounds = setting("KILLS").unwrap_or(12);
    let seed = setting("SEED").unwrap_or_else(|| RandomState::new().build_hasher().finish() | 1);
    let mut dice = Dice(seed);
    let world = World::new().await;
    let mark = world.home.path().to_string_lossy().into_owned();
    let mut server = world.server().await;
    // What each session has answered, by turn.
    let mut answered: HashMap<&str, HashMap<u64, String>> = HashMap::new();
    for round in 0..rounds {
        let what = format!("round {round} of seed {seed}");
        let session = SESSIONS[usize::try_from(dice.up_to(3)).unwrap()];
        let prompt = match dice.up_to(4) {
            0 => format!("say quick-{round}"),
            1 => format!("slow 0.05 slow-{round}"),
            2 => "run sleep 0.1".to_owned(),
            _ => "slow 30 never".to_owned(),
        };
        let call = json!({"name": "codex", "arguments": {"prompt": prompt, "sessionId": session}});
        let (_, answer) = server.begin("tools/call", call).await;
        // Some have a call behind them that is handed back at once.
        let mut behind = Vec::new();
        for number in 0..dice.up_to(3) {
            let text = format!("behind-{round}-{number}");
            let given =
                json!({"prompt": format!("say {text}"), "sessionId": session, "waitSeconds": 0});
            let call = json!({"name": "codex", "arguments": given});
            behind.push((text, server.begin("tools/call", call).await.1));
        }
        tokio::time::sleep(Duration::from_millis(dice.up_to(250))).await;
        let (codex, own) = (process::descendants(server.server_pid()), server.pid());
        let victim = dice.up_to(3);
        match victim {
            0 => kill(&codex).await,
            1 => kill(&[own]).await,
            _ => kill(&[&[own], codex.as_slice()].concat()).await,
        }
        // What was killed may have had no part in the turn yet. Then that goes on, and has to be stopped.
        let stop = async {
            while prompt.starts_with("slow 30") && victim == 0 {
                tokio::time::sleep(Duration::from_millis(300)).await;
                drop(server.call("interrupt", json!({"sessionId": session})).await);
            }
            std::future::pending::<()>().await;
        };
        // A living server answers; what a dead one has said counts all the same.
        let told = tokio::select! {
            told = answer.within(Duration::from_secs(20)) => told,
            () = stop => None,
        };
        assert!(told.is_some() || victim != 0, "{what}: a living server did not answer");
        if let Some(told) = told {
            let told = &told["result"]["structuredContent"];
            if told["status"] == "completed" {
                let text = told["response"].as_str().unwrap().to_owned();
                answered.entry(session).or_default().insert(told["turn"].as_u64().unwrap(), text);
            }
        }
        // The number of each turn that was promised.
        let mut promised = Vec::new();
        for (text, answer) in behind {
            let Some(told) = answer.within(Duration::from_secs(5)).await else { continue };
            let told = &told["result"]["structuredContent"];
            if told["status"] == "running" && told["turn"].is_u64() {
                promised.push((told["turn"].clone(), text));
            }
        }
        if victim != 0 {
            server.exited().await;
            process::all_gone(&mark, &what).await;
            server = world.server().await;
        }
        for (turn, text) in promised {
            let over = server.call("wait", json!({"sessionId": session, "turn": turn})).await;
            let status = &over["status"];
            assert!(status != "running" && status != "queued", "{what}: {}", over.raw);
            if status == "completed" {
                assert_eq!(over["response"], text, "{what}: {}", over.raw);
                answered.entry(session).or_default().insert(turn.as_u64().unwrap(), text.clone());
            }
            let asked = world.model.requests();
            let asked = asked.iter().filter_map(|request| request.prompts().pop());
            let asked = asked.filter(|prompt| *prompt == format!("say {text}")).count();
            assert!(asked <= 1, "{what}: {text} ran {asked} times");
        }
        let next =
            server.call("codex", json!({"prompt": "say on", "sessionId": session})).await.ok();
        assert_eq!(next["response"], "on", "{what}");
        answered
            .entry(session)
            .or_default()
            .insert(next["turn"].as_u64().unwrap(), "on".to_owned());
        check(&server, session, &answered[session], &what).await;
        // A copy has the same, and what it is called changes nothing.
        let fork = json!({"sessionId": session, "newSessionId": "copy"});
        server.call("forkSession", fork).await.ok();
        check(&server, "copy", &answered[session], &what).await;
        let renamed = json!({"sessionId": "copy", "newSessionId": "renamed"});
        server.call("renameSession", renamed).await.ok();
        check(&server, "renamed", &answered[session], &what).await;
        server.call("deleteSession", json!({"sessionId": "renamed"})).await.ok();
    }
    assert!(server.close().await.success());
    process::all_gone(&mark, "in the end").await;
}

/// What was answered is in the record, and all that was begun or promised comes to an end.
async fn check(server: &Client, session: &str, answered: &HashMap<u64, String>, what: &str) {
    // A call whose answer was lost with its server may have been promised all the same.
    wait_until("all turns to be over", async || {
        let listed = server.call("listSessions", json!({"search": session})).await.ok();
        let listed = listed["sessions"].as_array().unwrap();
        let listed = listed.iter().find(|listed| listed["id"] == session).unwrap();
        listed["status"] != "running" && listed["queued"].is_null()
    })
    .await;
    let mut offset = json!(0);
    while !offset.is_null() {
        let page = json!({"sessionId": session, "offset": offset, "limit": 100});
        let page = server.call("getSession", page).await.ok();
        for turn in page["turns"].as_array().unwrap() {
            let number = turn["number"].as_u64().unwrap();
            let status = turn["status"].as_str().unwrap();
            assert!(!["running", "queued"].contains(&status), "{what}: turn {number} is {status}");
            if let Some(text) = answered.get(&number) {
                assert_eq!(turn["response"], *text, "{what}: turn {number}");
                assert_eq!(turn["status"], "completed", "{what}: turn {number}");
            }
        }
        offset = page["nextOffset"].clone();
    }
}
