//! Arguments that nobody would send: nothing crashes and nothing hangs.

use testkit::python;

use crate::{
    inspector::program,
    world::{World, run},
};

#[tokio::test]
async fn mcp_fuzzer() {
    let world = World::new().await;
    let programs = python::fetch("mcp-fuzzer", "0.7.0").unwrap_or_else(|reason| panic!("{reason}"));
    let mut fuzzer = world.command(&programs.join("mcp-fuzzer"));
    fuzzer.args(["--mode", "tools", "--phase", "both", "--protocol", "stdio", "--runs", "3"]);
    fuzzer.args(["--no-network", "--seed", "1", "--endpoint"]).arg(program(&world));
    let printed = run(&mut fuzzer).await;
    for nothing in
        ["Total Crashes: 0", "Total Exceptions: 0", "Total Transport/Protocol Anomalies: 0"]
    {
        assert!(printed.contains(nothing), "{printed}");
    }
    // What it calls malformed and accepted are arguments we do not know, which are to be tolerated.
    assert!(printed.contains("Status: completed"), "{printed}");
}
