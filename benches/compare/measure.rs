//! The rows.

use std::{sync::Arc, time::Instant};

use serde_json::json;
use testkit::{
    Client,
    process::{proportional_bytes, resident_bytes},
};

use crate::{
    bare::Bare,
    contenders::{World, tree},
};

/// From the start of the process to the answer to `initialize`: where a host runs, where the client's is the first, and
/// without hosts.
pub(crate) async fn start(world: &World) {
    let homes = [world.home(), world.home(), world.home(), world.home()];
    let running = world.ours(&homes[0]).connect().await;
    let contenders = [
        world.ours(&homes[0]),
        world.ours(&homes[1]),
        world.ours(&homes[2]).alone(),
        world.theirs(&homes[3]),
    ];
    let mut times = [const { Vec::new() }; 4];
    for _ in 0..10 {
        for (launch, times) in contenders.iter().zip(&mut times) {
            let started = Instant::now();
            let client = launch.spawn();
            client.initialize("2025-06-18").await;
            times.push(millis(started));
            let serving = client.server_pid();
            client.close().await;
            if serving != running.server_pid() {
                // The next one begins without it.
                testkit::wait_for("its end", || testkit::process::is_gone(serving).then_some(()))
                    .await;
            }
        }
    }
    let [with_host, first, alone, theirs] = times.map(median);
    row("start to initialize, ms", "npm package", with_host, theirs);
    row("the same, starting the host, ms", "npm package", first, theirs);
    row("the same, without a host, ms", "npm package", alone, theirs);
}

/// The first turn of a new window, from the start of its process: where another window is open already.
pub(crate) async fn window(world: &World) {
    let homes = [world.home(), world.home()];
    let open = world.ours(&homes[0]).connect().await;
    say(&open, "open").await;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..10 {
        for (launch, times) in
            [(world.ours(&homes[0]), &mut ours), (world.theirs(&homes[1]), &mut theirs)]
        {
            let started = Instant::now();
            let client = launch.connect().await;
            say(&client, &format!("s{round}")).await;
            times.push(millis(started));
            client.close().await;
        }
    }
    row("first turn of a new window, ms", "npm package", median(ours), median(theirs));
}

/// The memory of all processes after a turn in each of five windows, against one window; and that of a bridge.
pub(crate) async fn windows(world: &World) {
    let home = world.home();
    let mut open = Vec::new();
    let mut sums = Vec::new();
    for number in 0..5 {
        let client = world.ours(&home).connect().await;
        say(&client, &format!("s{number}")).await;
        open.push(client);
        let mut all: Vec<u32> = open.iter().flat_map(tree).collect();
        all.sort_unstable();
        all.dedup();
        sums.push(proportional(&all));
    }
    row("five windows, PSS of all, MiB", "one window", sums[4], sums[0]);
    let bridge = open[0].pid();
    println!(
        "{:<34} {:>10.1} proportional, {:.1} resident",
        "a bridge, MiB",
        proportional(&[bridge]),
        mebibytes(&[bridge])
    );
}

/// A turn in an open session. The contenders take turns in changing order, so that noise hits all alike:
/// a Codex turn takes by itself now 70, now 140 ms. One process of Codex is some percent slower than the next for as
/// long as it lives, so there are several of each.
pub(crate) async fn turn(world: &World) {
    let (mut our_times, mut bare_times) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        let homes = [world.home(), world.home()];
        let ours = world.ours(&homes[0]).connect().await;
        let mut bare = Bare::start(world, &homes[1]).await;
        for round in 0..40 {
            if round % 2 == 0 {
                bare_times.push(timed_turn(&mut bare).await);
                our_times.push(timed_call(&ours, "s").await);
            } else {
                our_times.push(timed_call(&ours, "s").await);
                bare_times.push(timed_turn(&mut bare).await);
            }
        }
        ours.close().await;
    }
    row("turn in an open session, ms", "bare driver", mean(&our_times), mean(&bare_times));

    let homes = [world.home(), world.home()];
    let ours = world.ours(&homes[0]).connect().await;
    let theirs = world.theirs(&homes[1]).connect().await;
    let (mut our_times, mut their_times) = (Vec::new(), Vec::new());
    for _ in 0..20 {
        our_times.push(timed_call(&ours, "s").await);
        their_times.push(timed_call(&theirs, "s").await);
    }
    row("turn in an open session, ms", "npm package", mean(&our_times), mean(&their_times));
}

/// The server's own memory, with 100 sessions of 10 turns each.
pub(crate) async fn memory_at_rest(world: &World) {
    let home = world.home();
    let server = Arc::new(world.ours(&home).connect().await);
    for _ in 0..10 {
        for batch in 0..10 {
            let calls = (0..10).map(|number| {
                let server = Arc::clone(&server);
                tokio::spawn(async move { say(&server, &format!("s{batch}-{number}")).await })
            });
            let calls: Vec<_> = calls.collect();
            for call in calls {
                call.await.unwrap();
            }
        }
    }
    let own = mebibytes(&[server.server_pid()]);
    println!("{:<34} {own:>10.1}", "own memory, 100 × 10 turns, MiB");
}

/// The memory of the server and all it started, while ten turns run.
pub(crate) async fn tree_in_parallel(world: &World) {
    let mut peaks = Vec::new();
    let homes = [world.home(), world.home()];
    for launch in [world.ours(&homes[0]), world.theirs(&homes[1])] {
        let server = Arc::new(launch.connect().await);
        let calls = (0..10).map(|number| {
            let server = Arc::clone(&server);
            let call = json!({"prompt": "slow 3 done", "sessionId": format!("s{number}")});
            tokio::spawn(async move { server.call("codex", call).await })
        });
        let calls: Vec<_> = calls.collect();
        let mut peak = 0.0_f64;
        while !calls.iter().all(tokio::task::JoinHandle::is_finished) {
            peak = peak.max(mebibytes(&tree(&server)));
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        peaks.push(peak);
    }
    row("whole tree, 10 turns at once, MiB", "npm package", peaks[0], peaks[1]);
}

/// Fifty sessions at once: all complete, and what it takes.
pub(crate) async fn fifty_sessions(world: &World) {
    let home = world.home();
    let server = Arc::new(world.ours(&home).connect().await);
    let own = server.server_pid();
    let started = Instant::now();
    let calls = (0..50).map(|number| {
        let server = Arc::clone(&server);
        tokio::spawn(async move { say(&server, &format!("s{number}")).await })
    });
    let calls: Vec<_> = calls.collect();
    let mut peak = 0.0_f64;
    while !calls.iter().all(tokio::task::JoinHandle::is_finished) {
        peak = peak.max(mebibytes(&[own]));
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let mut complete = 0;
    for call in calls {
        complete += usize::from(call.await.is_ok());
    }
    println!(
        "{:<34} {complete} of 50 complete in {:.0} ms, own memory at most {peak:.1} MiB",
        "50 sessions at once",
        millis(started),
    );
}

pub(crate) async fn timed_turn(bare: &mut Bare) -> f64 {
    let started = Instant::now();
    bare.turn("say hi").await;
    millis(started)
}

async fn timed_call(server: &Client, session: &str) -> f64 {
    let started = Instant::now();
    say(server, session).await;
    millis(started)
}

async fn say(server: &Client, session: &str) {
    let reply = server.call("codex", json!({"prompt": "say hi", "sessionId": session})).await;
    assert!(reply.text.starts_with("hi"), "{}", reply.raw);
}

/// Prints one row.
pub(crate) fn row(what: &str, other: &str, ours: f64, theirs: f64) {
    let ratio = if ours <= theirs {
        format!("1/{:.1}", theirs / ours)
    } else {
        format!("{:.2}×", ours / theirs)
    };
    println!("{what:<34} {ours:>10.2} | {other} {theirs:>10.2} | {ratio}");
}

/// The middle one.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// The mean without the fastest and the slowest tenth; the first ones open the session.
pub(crate) fn mean(values: &[f64]) -> f64 {
    let mut values = values.get(3..).unwrap_or_default().to_vec();
    values.sort_by(f64::total_cmp);
    let cut = values.len() / 10;
    let kept = values.get(cut..values.len() - cut).unwrap_or_default();
    #[expect(clippy::cast_precision_loss, reason = "there are a few dozen")]
    let count = kept.len() as f64;
    kept.iter().sum::<f64>() / count
}

/// The time since a moment, in milliseconds.
pub(crate) fn millis(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}

fn mebibytes(pids: &[u32]) -> f64 {
    in_mebibytes(pids.iter().map(|pid| resident_bytes(*pid)).sum())
}

/// Memory where each shared page counts once in all.
fn proportional(pids: &[u32]) -> f64 {
    in_mebibytes(pids.iter().map(|pid| proportional_bytes(*pid)).sum())
}

fn in_mebibytes(bytes: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "memory is far below the limit")]
    let bytes = bytes as f64;
    bytes / 1024.0 / 1024.0
}
