//! MCP's own conformance suite, over HTTP, against the requirements of both eras: on the program that these tests are built
//! with, which has the suite's own tools if it is asked, or on the released one that `CONFORMANCE_SERVER` names.

use std::{env, fs, path::Path};

use testkit::HttpServer;

use crate::world::{NODE, World, fetched, said_anyhow};

/// The suite.
const SUITE: (&str, &str) = ("@modelcontextprotocol/conformance", "0.2.0-alpha.12");

#[tokio::test]
async fn nothing_fails_but_what_is_known_and_why() {
    let (binary, build) = match env::var_os("CONFORMANCE_SERVER") {
        Some(binary) => (fs::canonicalize(binary).unwrap(), "product"),
        None => (World::server().into(), "fixtures"),
    };
    for revision in ["2025-11-25", "2026-07-28"] {
        let world = World::new().await;
        let roots = format!("limits.roots=[{:?}]", world.home.work().display().to_string());
        let launch = world.launch().binary(&binary).env("CODEX_MCP_CONFORMANCE", "1");
        let launch = launch.args(["serve", "--http", "127.0.0.1:0", "--no-auth"]);
        // The suite's tasks are tasks from the beginning.
        let launch = launch.args(["--set", &roots, "--set", "turn.task=1ms"]);
        let server = HttpServer::start(&launch).await;
        let baseline = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join(format!("tests/clients/conformance/{build}-{revision}.yml"));
        assert!(fs::exists(&baseline).unwrap());
        let mut suite = world.command(&fetched(("node", NODE), "node"));
        // What `conformance` is a link to.
        suite.arg(fetched(SUITE, "conformance").canonicalize().unwrap());
        suite.args(["server", "--url", server.url(), "--requirements", revision]);
        suite.arg("--expected-failures").arg(&baseline);
        let (is_done, out) = said_anyhow(&mut suite).await;
        let summary = out.split_once("=== SUMMARY ===").map_or(&*out, |(_, summary)| summary);
        assert!(is_done, "{revision}: {summary}");
    }
}
