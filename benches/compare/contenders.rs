//! Who is measured: this server, the npm package, and nothing but the app-server itself.

use std::path::{Path, PathBuf};

use testkit::{CODEX_VERSION, Client, Home, Launch, Model, codex_cli, npm};

const NPM_VERSION: &str = "1.4.10";

/// One fake model for all; a home for each, so that none profits from another's files.
pub(crate) struct World {
    pub(crate) model: Model,
    codex: PathBuf,
    npm: PathBuf,
}

impl World {
    pub(crate) async fn new() -> Self {
        let model = Model::start().await;
        let codex = codex_cli::fetch(CODEX_VERSION).expect("the Codex CLI");
        let npm = npm::fetch("codex-mcp-server", NPM_VERSION).expect("the npm package");
        Self { model, codex, npm }
    }

    pub(crate) fn home(&self) -> Home {
        Home::new(&self.model.url())
    }

    pub(crate) fn codex(&self) -> &Path {
        &self.codex
    }

    /// How to start this server.
    pub(crate) fn ours(&self, home: &Home) -> Launch {
        // Without arguments, as most clients start it.
        Launch::new(env!("CARGO_BIN_EXE_codex-mcp-server"), home, &self.codex)
            .env("CODEX_MCP_SERVER_LOG_LEVEL", "warn")
    }

    /// How to start the npm package. It takes `codex` from PATH; it is given the native binary, which is
    /// kinder to it than npm's own shim.
    pub(crate) fn theirs(&self, home: &Home) -> Launch {
        let bin = home.path().join("bin");
        std::fs::create_dir_all(&bin).unwrap();
        let link = bin.join("codex");
        if !link.exists() {
            std::os::unix::fs::symlink(&self.codex, link).unwrap();
        }
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
        let entry = self.npm.join("node_modules/codex-mcp-server/dist/index.js");
        let entry = entry.to_str().expect("a path of plain text").to_owned();
        Launch::new("node", home, &self.codex).arg(entry).env("PATH", path)
    }
}

/// All processes that serve a client: what it started, its host, and all these have started.
pub(crate) fn tree(client: &Client) -> Vec<u32> {
    let (started, serving) = (client.pid(), client.server_pid());
    let mut all = vec![started, serving];
    all.extend([started, serving].into_iter().flat_map(testkit::process::descendants));
    all.sort_unstable();
    all.dedup();
    all
}
