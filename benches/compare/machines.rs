//! Several machines on one PostgreSQL, against one with SQLite.

use std::time::Instant;

use serde_json::json;
use testkit::{Home, HttpClient, HttpServer, Postgres, client::signal, wait_for};

use crate::{
    contenders::World,
    measure::{median, millis, row},
};

/// How long a lease lasts, in seconds.
const LEASE: f64 = 10.0;

/// How many turns a history has.
const HISTORY: usize = 100;

async fn serve(world: &World, home: &Home, settings: &[&str]) -> HttpServer {
    let mut launch = world.ours(home).args(["serve", "--http", "127.0.0.1:0", "--no-auth"]);
    for setting in ["limits.roots=[\"/tmp\"]"].iter().chain(settings) {
        launch = launch.args(["--set", setting]);
    }
    HttpServer::start(&launch).await
}

async fn turn(client: &HttpClient, session: &str) -> f64 {
    let started = Instant::now();
    let call = json!({"prompt": "say done", "sessionId": session});
    client.call("codex", call).await.ok();
    millis(started)
}

/// A turn in an open session.
pub(crate) async fn turns(world: &World) {
    let homes = [world.home(), world.home()];
    let database = Postgres::shared().database().await;
    let database = ["store.kind=postgres", &format!("store.url={database}")];
    let (file, database) =
        (serve(world, &homes[0], &[]).await, serve(world, &homes[1], &database).await);
    let (file, database) = (file.client(None), database.client(None));
    let (mut on_file, mut on_database) = (Vec::new(), Vec::new());
    turn(&file, "s").await;
    turn(&database, "s").await;
    for _ in 0..50 {
        on_database.push(turn(&database, "s").await);
        on_file.push(turn(&file, "s").await);
        on_file.push(turn(&file, "s").await);
        on_database.push(turn(&database, "s").await);
    }
    row("turn on PostgreSQL, ms", "on SQLite", median(on_database), median(on_file));
}

/// A turn for which the session moves to another machine, against one for which its thread is resumed at home.
pub(crate) async fn moves(world: &World) {
    let homes = [world.home(), world.home()];
    let database = Postgres::shared().database().await;
    let url = format!("store.url={database}");
    // Released at once, so that every turn resumes.
    let settings = ["store.kind=postgres", &url, "codex.release_after=0s"];
    let one = serve(world, &homes[0], &settings).await;
    let two = serve(world, &homes[1], &settings).await;
    let (one, two) = (one.client(None), two.client(None));
    for _ in 0..HISTORY {
        turn(&one, "s").await;
    }
    turn(&two, "s").await;
    let (mut moved, mut at_home) = (Vec::new(), Vec::new());
    for _ in 0..8 {
        moved.push(turn(&one, "s").await);
        at_home.push(turn(&one, "s").await);
        moved.push(turn(&two, "s").await);
        at_home.push(turn(&two, "s").await);
    }
    row("moved, history of 100 turns, ms", "resumed", median(moved), median(at_home));
}

/// From the kill of a machine in mid-turn to the end of the next turn, on another machine.
pub(crate) async fn take_over(world: &World) {
    let homes = [world.home(), world.home()];
    let database = Postgres::shared().database().await;
    let url = format!("store.url={database}");
    let settings = ["store.kind=postgres", &url];
    let mut one = serve(world, &homes[0], &settings).await;
    let two = serve(world, &homes[1], &settings).await;
    turn(&two.client(None), "warm").await;
    let slow = json!({"prompt": "slow 60 never", "sessionId": "s", "waitSeconds": 0});
    one.client(None).call("codex", slow).await.ok();
    wait_for("the turn to run", || (world.model.open_streams() == 1).then_some(())).await;
    let killed = Instant::now();
    signal(one.pid(), "KILL").await;
    one.ended().await;
    turn(&two.client(None), "s").await;
    row("take-over after kill -9, s", "the lease", killed.elapsed().as_secs_f64(), LEASE);
}

/// How long it takes to reach a turn from another machine, against from its own: to stop it, to add to it, to hear of
/// its end.
pub(crate) async fn reach(world: &World) {
    let homes = [world.home(), world.home()];
    let database = Postgres::shared().database().await;
    let url = format!("store.url={database}");
    let settings = ["store.kind=postgres", &url];
    let one = serve(world, &homes[0], &settings).await;
    let two = serve(world, &homes[1], &settings).await;
    let (home, elsewhere) = (one.client(None), two.client(None));
    let begin = async |prompt: &str| {
        let call = json!({"prompt": prompt, "sessionId": "s", "waitSeconds": 0});
        home.call("codex", call).await.ok();
        wait_for("the turn to run", || (world.model.open_streams() == 1).then_some(())).await;
    };
    let timed = async |client: &HttpClient, tool: &str, arguments| {
        let started = Instant::now();
        client.call(tool, arguments).await;
        millis(started)
    };
    let (mut steered, mut stopped, mut heard) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..10 {
        let mut steering = Vec::new();
        let mut stopping = Vec::new();
        for client in [&elsewhere, &home] {
            begin("slow 60 never").await;
            let more = json!({"sessionId": "s", "prompt": "slow 60 more"});
            steering.push(timed(client, "steer", more).await);
            stopping.push(timed(client, "interrupt", json!({"sessionId": "s"})).await);
        }
        begin("slow 1 done").await;
        let wait = || json!({"sessionId": "s"});
        let (there, here) =
            tokio::join!(timed(&elsewhere, "wait", wait()), timed(&home, "wait", wait()));
        steered.push((steering[0], steering[1]));
        stopped.push((stopping[0], stopping[1]));
        heard.push((there, here));
    }
    for (what, times) in [
        ("steered from elsewhere, ms", steered),
        ("interrupted from elsewhere, ms", stopped),
        ("end of a turn of 1 s heard elsewhere, ms", heard),
    ] {
        let (there, here) = times.into_iter().unzip();
        row(what, "at home", median(there), median(here));
    }
}
