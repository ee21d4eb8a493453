//! Clients that get their token from an identity provider by themselves, and its operator's configuration of ours.

use std::{fs, path::Path, process::Stdio};

use serde_json::{Value, json};
use testkit::{HttpServer, npm};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Child,
};

use crate::{
    sdks::script,
    world::{NODE, World, fetched, run},
};

const PROVIDER: (&str, &str) = ("oidc-provider", "9.13.3");

/// A running provider and its URL.
async fn provider(world: &World) -> (Child, String) {
    let (package, version) = PROVIDER;
    let folder = npm::fetch(package, version).unwrap_or_else(|reason| panic!("{reason}"));
    let mut command = world.command(&fetched(("node", NODE), "node"));
    command.arg(script("provider.mjs")).arg(folder).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let url = lines.next_line().await.unwrap().expect("the provider listens");
    (child, url)
}

/// Our server for tenants with tokens of a provider.
async fn serve(world: &World, issuer: &str) -> HttpServer {
    let config = world.http_config();
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("{text}\n[http.jwt]\nissuer = {issuer:?}\n")).unwrap();
    world.serve_with(&config).await
}

async fn steps(world: &World, sdk: (&str, &Path, &str), url: &str) -> Vec<Value> {
    let (version, folder, mode) = sdk;
    let mut client = world.command(&fetched(("node", NODE), "node"));
    client.arg(script("authorized.mjs")).arg(version).arg(folder).arg(mode);
    let printed = run(client.arg(url).arg("team")).await;
    printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn sdks_log_in_and_call() {
    for (version, package, released, mode) in [
        ("v1", "@modelcontextprotocol/sdk", "1.32.2", "legacy"),
        ("v2", "@modelcontextprotocol/client", "2.4.0", "legacy"),
        ("v2", "@modelcontextprotocol/client", "2.4.0", "auto"),
    ] {
        let folder = npm::fetch(package, released).unwrap_or_else(|reason| panic!("{reason}"));
        let world = World::new().await;
        let (_provider, issuer) = provider(&world).await;
        let server = serve(&world, &issuer).await;
        let steps = steps(&world, (version, &folder, mode), server.url()).await;
        let [asked, refused, first, second] = &steps[..] else { panic!("{steps:?}") };
        // It asked for what our challenge names, for our endpoint alone.
        assert_eq!(asked["resource"], server.url());
        assert_eq!(asked["scope"].as_str().unwrap().split(' ').next(), Some("run"));
        assert_eq!(*refused, json!({"step": "refused", "known": true}));
        assert_eq!(first["structured"]["response"], "one", "{first}");
        assert_eq!(second["structured"]["response"], "say one", "{second}");
        // The sessions are the tenant's that the provider named, for other clients as well.
        let token = world.token().await;
        let ours = server.client(Some(&token)).call("listSessions", json!({})).await.ok();
        assert_eq!(ours["sessions"][0]["id"], "s");
    }
}
