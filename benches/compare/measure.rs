//! The rows.

use std::{sync::Arc, time::Instant};

use serde_json::json;
use testkit::{Client, process::resident_bytes};

use crate::{
    bare::Bare,
    contenders::{World, tree},
};

/// From the start of the process to the answer to `initialize`.
pub(crate) async fn start(world: &World) {
    let home = world.home();
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..10 {
        for (launch, times) in [(world.ours(&home), &mut ours), (world.theirs(&home), &mut theirs)]
        {
            let started = Instant::now();
            let client = launch.spawn();
            client.initialize("2025-06-18").await;
            times.push(millis(started));
            client.close().await;
        }
    }
    row("start to initialize, ms", "npm package", median(ours), median(theirs));
}

/// A turn in an open session. The contenders take turns in changing order, so that noise hits all alike:
/// a Codex turn takes by itself now 70, now 140 ms.
pub(crate) async fn turn(world: &World) {
    let homes = [world.home(), world.home(), world.home()];
    let ours = world.ours(&homes[0]).connect().await;
    let mut bare = Bare::start(world, &homes[2]).await;
    let (mut our_times, mut bare_times) = (Vec::new(), Vec::new());
    for round in 0..80 {
        if round % 2 == 0 {
            bare_times.push(timed_turn(&mut bare).await);
            our_times.push(timed_call(&ours, "s").await);
        } else {
            our_times.push(timed_call(&ours, "s").await);
            bare_times.push(timed_turn(&mut bare).await);
        }
    }
    row("turn in an open session, ms", "bare driver", mean(&our_times), mean(&bare_times));

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
    println!("{:<34} {:>10.1}", "own memory, 100 × 10 turns, MiB", mebibytes(&[server.pid()]));
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
    let started = Instant::now();
    let calls = (0..50).map(|number| {
        let server = Arc::clone(&server);
        tokio::spawn(async move { say(&server, &format!("s{number}")).await })
    });
    let calls: Vec<_> = calls.collect();
    let mut peak = 0.0_f64;
    while !calls.iter().all(tokio::task::JoinHandle::is_finished) {
        peak = peak.max(mebibytes(&[server.pid()]));
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

async fn timed_turn(bare: &mut Bare) -> f64 {
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
fn mean(values: &[f64]) -> f64 {
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
    let bytes: u64 = pids.iter().map(|pid| resident_bytes(*pid)).sum();
    #[expect(clippy::cast_precision_loss, reason = "memory is far below the limit")]
    let bytes = bytes as f64;
    bytes / 1024.0 / 1024.0
}
