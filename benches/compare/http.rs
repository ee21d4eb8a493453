//! Calls over HTTP, against a server on the SDK for `TypeScript`; and what clients that only wait cost.

use std::{path::Path, process::Stdio, sync::Arc, time::Instant};

use serde_json::json;
use testkit::{HttpClient, HttpServer, npm, process::resident_bytes};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

use crate::{
    bare::Bare,
    contenders::World,
    measure::{mean, median, millis, row, timed_turn},
};

const SDK: (&str, &str) = ("@modelcontextprotocol/sdk", "1.32.2");

/// How many calls are in flight.
const FLIGHT: usize = 32;

/// The tool `ping`: one after the other, and many at once. What a client without a session of the transport needs.
pub(crate) async fn ping(world: &World) {
    let home = world.home();
    let roots = format!("limits.roots=[{:?}]", home.work().display().to_string());
    let launch = world.ours(&home).args(["serve", "--http", "127.0.0.1:0", "--no-auth"]);
    let ours = HttpServer::start(&launch.args(["--set", &roots])).await;
    let (_peer, theirs) = peer().await;
    let clients = [ours.client(None), HttpClient::older_without_session(&theirs)];
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..300 {
        for (client, times) in clients.iter().zip(&mut times) {
            let started = Instant::now();
            client.call("ping", json!({})).await;
            times.push(millis(started));
        }
    }
    let [our_times, their_times] = times.map(median);
    row("ping over HTTP, ms", "TypeScript SDK", our_times, their_times);
    let mut rates = [0.0, 0.0];
    for _ in 0..3 {
        for (client, rate) in clients.iter().zip(&mut rates) {
            *rate += at_once(client).await / 3.0;
        }
    }
    println!(
        "{:<34} {:>10.0} | TypeScript SDK {:>10.0} | {:.1}×",
        "ping over HTTP, 32 in flight, a second",
        rates[0],
        rates[1],
        rates[0] / rates[1]
    );
    let mut open = Vec::new();
    for _ in 0..1000 {
        let client = ours.client(None);
        let wanted = json!({"notifications": {"resourcesListChanged": true}});
        open.push((client.send("subscriptions/listen", wanted).await, client));
    }
    #[expect(clippy::cast_precision_loss, reason = "a few dozen megabytes")]
    let own = resident_bytes(ours.pid()) as f64 / 1024.0 / 1024.0;
    println!("{:<34} {own:>10.1}", "own memory, 1000 that listen, MiB");
}

/// A turn in an open session over HTTP, against the bare driver, with several pairs of Codex processes.
pub(crate) async fn turn(world: &World) {
    let (mut our_times, mut bare_times) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        let homes = [world.home(), world.home()];
        let roots = format!("limits.roots=[{:?}]", homes[0].work().display().to_string());
        let launch = world.ours(&homes[0]).args(["serve", "--http", "127.0.0.1:0", "--no-auth"]);
        let ours = HttpServer::start(&launch.args(["--set", &roots])).await;
        let client = ours.client(None);
        let mut bare = Bare::start(world, &homes[1]).await;
        let call = async || {
            let started = Instant::now();
            let prompt = json!({"prompt": "say done", "sessionId": "s"});
            client.call("codex", prompt).await.ok();
            millis(started)
        };
        // The first of each opens the thread.
        call().await;
        timed_turn(&mut bare).await;
        for _ in 0..20 {
            bare_times.push(timed_turn(&mut bare).await);
            our_times.push(call().await);
            our_times.push(call().await);
            bare_times.push(timed_turn(&mut bare).await);
        }
    }
    row("turn over HTTP, ms", "bare driver", mean(&our_times), mean(&bare_times));
}

/// Calls a second with many in flight.
async fn at_once(client: &HttpClient) -> f64 {
    let client = Arc::new(client.clone());
    let each = 100;
    let started = Instant::now();
    let callers: Vec<_> = (0..FLIGHT)
        .map(|_| {
            let client = Arc::clone(&client);
            tokio::spawn(async move {
                for _ in 0..each {
                    client.call("ping", json!({})).await;
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
    let calls = (FLIGHT * each) as f64;
    calls / started.elapsed().as_secs_f64()
}

/// The other server, and where it listens.
async fn peer() -> (Child, String) {
    let folder = npm::fetch(SDK.0, SDK.1).expect("the TypeScript SDK");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/compare/peer.mjs");
    let mut peer = Command::new("node");
    peer.arg(script).arg(folder).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = peer.spawn().expect("node");
    let mut lines = BufReader::new(child.stdout.take().expect("a piped stdout")).lines();
    let url = lines.next_line().await.expect("its address").expect("its address");
    (child, url)
}
