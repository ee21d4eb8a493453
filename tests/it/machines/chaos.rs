//! Clients talk while servers, their Codex and their way to the database are killed, suspended and cut at random; afterwards
//! the history is checked. `CHAOS_SECONDS` and `CHAOS_SESSIONS` make it longer and wider (`just chaos`), `CHAOS_SEED` has
//! the same faults again.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use testkit::{HttpClient, HttpServer, Link, Postgres, Proxy, client::signal, process};
use tokio::time::{sleep, timeout};

use super::Machine;
use crate::support::World;

/// How long a client waits for one answer.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Numbers that look random, the same for a seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        // Knuth's MMIX.
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// A machine, its way to the database, and the server that runs on it, if one does.
struct Node {
    machine: Machine,
    proxy: Proxy,
    server: Option<HttpServer>,
}

/// Where the servers are, by number; clients find out by themselves that one is gone.
type Clients = Arc<Mutex<HashMap<usize, HttpClient>>>;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

async fn node(world: &World, index: usize, database: &str) -> Node {
    let (start, name) = database.rsplit_once('/').unwrap();
    let (host, port) = start.rsplit_once(':').unwrap();
    let proxy = Proxy::to(port.parse().unwrap()).await;
    let through = format!("{host}:{}/{name}", proxy.port());
    let machine = Machine::new(world, &format!("m{index}"), &through);
    Node { machine, proxy, server: None }
}

/// Does one thing to a machine, and undoes it after a while.
async fn hurt(node: &mut Node, dice: &mut Dice, clients: &Clients, index: usize) -> &'static str {
    let while_ = Duration::from_millis(200 + dice.roll(3800));
    let Some(pid) = node.server.as_ref().map(HttpServer::pid) else { return "nothing" };
    let what = match dice.roll(6) {
        0 => {
            signal(pid, "KILL").await;
            node.server.take().unwrap().ended().await;
            sleep(while_ / 4).await;
            "killed"
        }
        1 => {
            signal(pid, "STOP").await;
            sleep(while_).await;
            signal(pid, "CONT").await;
            "suspended"
        }
        2 => {
            for codex in process::children(pid) {
                signal(codex, "KILL").await;
            }
            "without its Codex"
        }
        3 => {
            signal(pid, "TERM").await;
            node.server.take().unwrap().ended().await;
            "drained"
        }
        link => {
            node.proxy.set(if link == 4 { Link::Cut } else { Link::Silent });
            sleep(while_).await;
            node.proxy.set(Link::Up);
            "cut off"
        }
    };
    if node.server.is_none() {
        let server = node.machine.serve_with(&["http.drain=1s"]).await;
        clients.lock().unwrap().insert(index, server.client(None));
        node.server = Some(server);
    }
    what
}

/// Does one thing to the database.
async fn shake(database: &Postgres, dice: &mut Dice) -> &'static str {
    if dice.roll(2) == 0 {
        database.crash().await;
        "was killed"
    } else {
        database.suspend(Duration::from_millis(200 + dice.roll(3800))).await;
        "was suspended"
    }
}

/// A library that moves the clock of a program, if there is one.
fn other_time() -> Option<PathBuf> {
    let found = ["x86_64-linux-gnu", "aarch64-linux-gnu"]
        .map(|target| format!("/usr/lib/{target}/faketime/libfaketimeMT.so.1"));
    found.map(PathBuf::from).into_iter().find(|path| path.is_file())
}

/// How far the clocks of the servers are apart, by what each says of its start.
async fn clocks(node: &Node) -> jiff::SignedDuration {
    let asked = node.machine.launch.clone().args(["servers", "--json"]);
    let said = asked.command().output().await.unwrap();
    let all: Value = serde_json::from_slice(&said.stdout).unwrap_or_default();
    let at = |server: &Value| server["startedAt"].as_str()?.parse::<jiff::Timestamp>().ok();
    let starts: Vec<_> = all["servers"].as_array().into_iter().flatten().filter_map(at).collect();
    let (first, last) = (starts.iter().min(), starts.iter().max());
    last.zip(first).map(|(last, first)| last.duration_since(*first)).unwrap_or_default()
}

/// What a client was told: the turns that completed, by their prompt.
type Answers = Vec<(String, u64)>;

/// Talks until the end, each time with another server.
async fn converse(session: String, clients: Clients, end: Instant, mut dice: Dice) -> Answers {
    let mut answers = Vec::new();
    for turn in 1.. {
        if Instant::now() >= end {
            break;
        }
        let client = {
            let clients = clients.lock().unwrap();
            let index = usize::try_from(dice.roll(clients.len() as u64)).unwrap();
            clients[&index].clone()
        };
        let text = format!("{session}-{turn}");
        let prompt =
            if dice.roll(3) == 0 { format!("slow 1 {text}") } else { format!("say {text}") };
        let call = json!({"prompt": prompt, "sessionId": session});
        let answer = timeout(TIMEOUT, client.try_call("codex", call)).await;
        if let Ok(Some(result)) = answer
            && result.structured["status"] == "completed"
        {
            assert_eq!(result["response"], text);
            answers.push((prompt, result["turn"].as_u64().unwrap()));
        }
        sleep(Duration::from_millis(dice.roll(300))).await;
    }
    answers
}

#[tokio::test]
async fn whatever_happens_nothing_answered_is_lost_and_nothing_runs_twice() {
    let seconds = number("CHAOS_SECONDS", 15);
    let sessions = number("CHAOS_SESSIONS", 8);
    let seed = number("CHAOS_SEED", std::process::id().into());
    println!("CHAOS_SEED={seed}");
    let mut dice = Dice(seed);
    let world = World::new().await;
    // One of its own: it is hurt too.
    let postgres = Postgres::start().unwrap();
    let database = postgres.database().await;
    let other_time = other_time();
    if other_time.is_none() {
        println!("all clocks agree: libfaketime is not installed");
    }
    let clients = Clients::default();
    let mut nodes = Vec::new();
    for index in 0..3 {
        let mut node = node(&world, index, &database).await;
        // An hour behind, right, an hour ahead.
        if let (Some(library), Some(clock)) = (&other_time, ["-1h", "", "+1h"].get(index))
            && !clock.is_empty()
        {
            let launch = node.machine.launch.clone().env("FAKETIME", *clock);
            let launch = launch.env("DONT_FAKE_MONOTONIC", "1");
            node.machine.launch = launch.env("LD_PRELOAD", library.to_string_lossy());
        }
        let server = node.machine.serve_with(&["http.drain=1s"]).await;
        clients.lock().unwrap().insert(index, server.client(None));
        node.server = Some(server);
        nodes.push(node);
    }
    if other_time.is_some() {
        testkit::wait::wait_until("clocks two hours apart", async || {
            clocks(&nodes[1]).await >= jiff::SignedDuration::from_mins(119)
        })
        .await;
    }
    let end = Instant::now() + Duration::from_secs(seconds);
    let conversations: Vec<_> = (0..sessions)
        .map(|number| {
            let dice = Dice(dice.roll(u64::MAX >> 33));
            tokio::spawn(converse(format!("c{number}"), Arc::clone(&clients), end, dice))
        })
        .collect();
    while Instant::now() < end {
        sleep(Duration::from_millis(300 + dice.roll(900))).await;
        if dice.roll(7) == 0 {
            println!("the database {}", shake(&postgres, &mut dice).await);
            continue;
        }
        let index = usize::try_from(dice.roll(3)).unwrap();
        let what = hurt(&mut nodes[index], &mut dice, &clients, index).await;
        println!("machine {index} was {what}");
    }
    let mut answered = 0;
    for (number, answers) in conversations.into_iter().enumerate() {
        let answers = answers.await.unwrap();
        answered += answers.len();
        check(&world, &nodes[number % 3], &format!("c{number}"), &answers).await;
    }
    println!("{answered} answers");
    assert!(answered > 0);
    for node in &mut nodes {
        let mut server = node.server.take().unwrap();
        signal(server.pid(), "TERM").await;
        assert!(server.ended().await.success());
        process::all_gone(&node.machine.home.path().to_string_lossy(), "at the end").await;
    }
}

/// Reads a session's history as a server now tells it, and holds it against what its client was told.
async fn check(world: &World, node: &Node, session: &str, answers: &Answers) {
    let client = node.server.as_ref().unwrap().client(None);
    // Usable, by whichever server.
    testkit::wait::wait_until("the session to be usable", async || {
        let call = json!({"prompt": format!("say {session}-end"), "sessionId": session});
        let answer = timeout(TIMEOUT, client.try_call("codex", call)).await;
        matches!(answer, Ok(Some(result)) if !result.is_error)
    })
    .await;
    let mut turns: Vec<Value> = Vec::new();
    let mut offset = json!(0);
    while !offset.is_null() {
        let page = json!({"sessionId": session, "offset": offset, "limit": 50});
        let page = client.call("getSession", page).await.ok();
        turns.extend(page["turns"].as_array().unwrap().clone());
        offset = page["nextOffset"].clone();
    }
    // A server that dies with a number that it has told to none leaves a gap.
    let numbers: Vec<_> = turns.iter().map(|turn| turn["number"].as_u64().unwrap()).collect();
    assert!(numbers.is_sorted_by(|one, next| one < next), "{session}: {numbers:?}");
    for turn in &turns {
        assert_ne!(turn["status"], "running", "{session}: {turn}");
    }
    for (prompt, number) in answers {
        let found: Vec<_> = turns.iter().filter(|turn| turn["prompt"] == **prompt).collect();
        assert_eq!(found.len(), 1, "{session}: `{prompt}` is in the record once");
        let text = prompt.rsplit(' ').next().unwrap();
        assert_eq!(
            (&found[0]["response"], &found[0]["status"]),
            (&json!(text), &json!("completed"))
        );
        assert_eq!(found[0]["number"], json!(number), "{session}: `{prompt}`");
    }
    // No turn was given to a model twice.
    let mut requests: HashMap<String, usize> = HashMap::new();
    for request in world.model.requests() {
        let last = request.prompts().pop().unwrap_or_default();
        if last.contains(&format!(" {session}-")) && !last.ends_with("-end") {
            *requests.entry(last).or_default() += 1;
        }
    }
    for (prompt, times) in requests {
        assert_eq!(times, 1, "{session}: `{prompt}` ran {times} times");
    }
}
