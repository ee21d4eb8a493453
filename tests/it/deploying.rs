//! What is packaged for operators: each file starts the server as it says.

use std::{fs, path::Path};

use crate::support::World;

fn packaged(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The configuration that comes with the image, for a machine where other paths exist.
fn configuration(world: &World) -> String {
    let config = packaged("container/config.toml");
    let file = world.home.path().join("config.toml");
    let own = |text: &str| text.replace("/work", &world.home.work().display().to_string());
    let config = own(&config).replace("0.0.0.0:8765", "127.0.0.1:0");
    fs::write(&file, config).unwrap();
    file.display().to_string()
}

/// Starts the server with these words, but for the configuration's place.
async fn starts(world: &World, words: &[&str]) {
    let config = configuration(world);
    let words = words.iter().map(|word| match *word {
        "/etc/codex-mcp-server/config.toml" => config.clone(),
        other => other.to_owned(),
    });
    let launch = words.fold(world.launch(), testkit::Launch::arg);
    let server = testkit::HttpServer::start(&launch).await;
    assert_eq!(testkit::http::get(&server.beside("/healthz")).await, 200);
}

#[tokio::test]
async fn the_unit_starts_the_server() {
    let world = World::new().await;
    let unit = packaged("systemd/codex-mcp-server.service");
    let start = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
    let words: Vec<_> = start.split(' ').skip(1).collect();
    starts(&world, &words).await;
    let stop = unit.lines().find_map(|line| line.strip_prefix("TimeoutStopSec=")).unwrap();
    assert!(stop.parse::<u64>().unwrap() > 30, "it is killed before it has drained");
}

#[tokio::test]
async fn the_image_starts_the_server() {
    let world = World::new().await;
    let image = packaged("container/Containerfile");
    let list = |word: &str| {
        let line = image.lines().find_map(|line| line.strip_prefix(word)).unwrap();
        serde_json::from_str::<Vec<String>>(line).unwrap()
    };
    assert_eq!(list("ENTRYPOINT "), ["/usr/local/bin/codex-mcp-server"]);
    let words = list("CMD ");
    starts(&world, &words.iter().map(String::as_str).collect::<Vec<_>>()).await;
    assert!(image.lines().any(|line| line == "USER 10001"), "it would run as root");
}
