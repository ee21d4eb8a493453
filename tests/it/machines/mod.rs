//! Several servers over one PostgreSQL, each as if on a machine of its own: with a home and a Codex nobody else has.

mod away;
mod balanced;
mod budgets;
mod chaos;
mod listed;
mod moving;
mod older_era;
mod pooled;
mod sharing;

use testkit::{Home, HttpServer, Launch, Postgres};

use crate::support::World;

/// A machine on which a server can be.
struct Machine {
    name: String,
    database: String,
    home: Home,
    launch: Launch,
}

impl Machine {
    fn new(world: &World, name: &str, database: &str) -> Self {
        Self::with_codex(world, name, database, testkit::CODEX_VERSION)
    }

    /// One with a Codex of that version.
    fn with_codex(world: &World, name: &str, database: &str, version: &str) -> Self {
        let home = Home::new(&world.model.url());
        let codex = testkit::codex_cli::fetch(version).unwrap();
        let launch = Launch::new(env!("CARGO_BIN_EXE_codex-mcp-server"), &home, &codex);
        let launch = launch.args(["--store", database]);
        Self { name: name.to_owned(), database: database.to_owned(), home, launch }
    }

    async fn serve(&self) -> HttpServer {
        self.serve_with(&[]).await
    }

    /// A server with more settings. All machines have the same directories.
    async fn serve_with(&self, settings: &[&str]) -> HttpServer {
        let mut launch = self.launch.clone().args(["serve", "--http", "127.0.0.1:0", "--no-auth"]);
        let name = format!("store.machine={}", self.name);
        let usual = ["session.lease=3s", "limits.roots=[\"/tmp\"]", &name];
        for setting in usual.iter().chain(settings) {
            launch = launch.args(["--set", setting]);
        }
        HttpServer::start(&launch).await
    }
}

async fn two() -> (World, Machine, Machine) {
    let world = World::new().await;
    let database = Postgres::shared().database().await;
    let machine = |name| Machine::new(&world, name, &database);
    let (one, two) = (machine("one"), machine("two"));
    (world, one, two)
}
