//! The server over HTTP: callers of several tenants, with both eras of the protocol.

mod access;
mod codexes;
mod draining;
mod hostile;
mod jwt;
mod monitoring;
mod outside;
mod scopes;
mod separated;
mod serving;
mod stalled;
mod tenants;
mod tls;
mod traces;

use std::fs;

use testkit::{Home, HttpServer, Launch, Model};

use crate::support::World;

/// A world with tenants. Each has a directory of its own, and a Codex with the same model.
struct Team {
    world: World,
}

impl Team {
    async fn new() -> Self {
        let team = Self { world: World::new().await };
        let mut config = String::new();
        for name in ["a", "b"] {
            let root = team.root(name);
            fs::create_dir_all(&root).unwrap();
            config += &format!("[tenants.{name}]\nroots = [{:?}]\n", root.display().to_string());
            let home =
                team.world.home.state().join("codex-mcp-server/tenants").join(name).join("codex");
            fs::create_dir_all(&home).unwrap();
            fs::write(home.join("config.toml"), keyless(&team.world.model)).unwrap();
        }
        fs::write(team.world.home.path().join("team.toml"), config).unwrap();
        team
    }

    /// Where a tenant works.
    fn root(&self, tenant: &str) -> std::path::PathBuf {
        self.world.home.path().join("work of ").join(tenant)
    }

    fn launch(&self) -> Launch {
        let config = self.world.home.path().join("team.toml");
        self.world.launch().arg("--config").arg(config.to_string_lossy())
    }

    async fn serve(&self) -> HttpServer {
        self.serve_with(&[]).await
    }

    /// A server with more settings.
    async fn serve_with(&self, settings: &[&str]) -> HttpServer {
        let mut launch = self.launch().args(["serve", "--http", "127.0.0.1:0"]);
        for setting in settings {
            launch = launch.args(["--set", setting]);
        }
        HttpServer::start(&launch).await
    }

    /// A new token.
    async fn token(&self, tenant: &str, words: &[&str]) -> String {
        let mut launch = self.launch().args(["token", "new", "--tenant", tenant]);
        for word in words {
            launch = launch.arg(*word);
        }
        let made = launch.command().output().await.unwrap();
        assert!(made.status.success(), "{made:?}");
        let token = String::from_utf8(made.stdout).unwrap();
        assert_eq!(token.lines().count(), 1, "{token}");
        token.trim().to_owned()
    }
}

/// A Codex configuration that needs no variable of the environment.
fn keyless(model: &Model) -> String {
    Home::provider(&model.url()).replace("env_key = \"MOCK_KEY\"\n", "")
}
