//! A world to test in: a fake model, a home, and our own binary to start in it.

use std::path::Path;

use testkit::{CODEX_VERSION, Client, Home, Launch, Model, codex_cli};

/// A model and a home that belong together.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) model: Model,
    pub(crate) home: Home,
}

impl World {
    pub(crate) async fn new() -> Self {
        let model = Model::start().await;
        let home = Home::new(&model.url());
        Self { model, home }
    }

    /// How to start our server in this world.
    pub(crate) fn launch(&self) -> Launch {
        let fetched = codex_cli::fetch(CODEX_VERSION);
        let codex =
            fetched.unwrap_or_else(|reason| panic!("these tests need the Codex CLI: {reason}"));
        Launch::new(Path::new(env!("CARGO_BIN_EXE_codex-mcp-server")), &self.home, &codex)
    }

    /// A server that is ready for calls.
    pub(crate) async fn server(&self) -> Client {
        self.launch().connect().await
    }
}
