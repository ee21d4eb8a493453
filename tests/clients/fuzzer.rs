//! Arguments that nobody would send: nothing crashes and nothing hangs.

use testkit::{HttpServer, python};

use crate::{
    inspector::program,
    world::{World, run},
};

#[tokio::test]
async fn mcp_fuzzer() {
    for over_http in [false, true] {
        fuzzed(over_http).await;
    }
}

async fn fuzzed(over_http: bool) {
    let world = World::new().await;
    let roots = format!("limits.roots=[{:?}]", world.home.work().display().to_string());
    let launch = world.launch().args(["serve", "--http", "127.0.0.1:0", "--no-auth", "--set"]);
    let server = HttpServer::start(&launch.arg(roots)).await;
    let programs = python::fetch("mcp-fuzzer", "0.7.0").unwrap_or_else(|reason| panic!("{reason}"));
    let mut fuzzer = world.command(&programs.join("mcp-fuzzer"));
    fuzzer.args(["--mode", "tools", "--phase", "both", "--runs", "3", "--seed", "1"]);
    if over_http {
        fuzzer.args(["--protocol", "streamablehttp", "--endpoint", server.url()]);
    } else {
        fuzzer.args(["--protocol", "stdio", "--no-network", "--endpoint"]).arg(program(&world));
    }
    let printed = run(&mut fuzzer).await;
    for nothing in
        ["Total Crashes: 0", "Total Exceptions: 0", "Total Transport/Protocol Anomalies: 0"]
    {
        assert!(printed.contains(nothing), "{printed}");
    }
    // What it calls malformed and accepted are arguments we do not know, which are to be tolerated.
    assert!(printed.contains("Status: completed"), "{printed}");
}
