//! A world to test in: a fake model, a home, and our own binary to start in it.

use std::{path::Path, process::Stdio};

use testkit::{CODEX_VERSION, Client, Home, Launch, Model, codex_cli};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

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

/// A shell script in the world's home.
pub(crate) fn script(world: &World, name: &str, lines: &str) -> String {
    let path = world.home.path().join(name);
    let path = testkit::program::write(path, &format!("#!/bin/sh\n{lines}\n"));
    path.to_string_lossy().into_owned()
}

/// A terminal of its own for our program, by the `script` of util-linux.
#[cfg(target_os = "linux")]
pub(crate) async fn on_a_terminal(
    world: &World,
    words: &str,
    typed: &[(&str, &str)],
) -> (String, Option<i32>) {
    let line = format!("{} {words}", env!("CARGO_BIN_EXE_codex-mcp-server"));
    let server = world.launch().command();
    let mut script = tokio::process::Command::new("script");
    script.args(["-qec", &line, "/dev/null"]).env_clear();
    for (name, value) in server.as_std().get_envs() {
        script.env(name, value.unwrap_or_default());
    }
    script.env("TERM", "xterm").current_dir(world.home.work()).kill_on_drop(true);
    script.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = script.spawn().expect("these tests need `script` of util-linux");
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut shown = String::new();
    let mut waiting = typed.iter();
    let mut next = waiting.next();
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = stdout.read(&mut buffer).await {
        shown += &String::from_utf8_lossy(&buffer[..count]);
        if let Some((until, keys)) = next
            && shown.contains(until)
        {
            stdin.write_all(keys.as_bytes()).await.unwrap();
            next = waiting.next();
        }
    }
    assert_eq!(next, None, "never shown; {shown}");
    (shown, child.wait().await.unwrap().code())
}

/// Runs Codex as in a terminal and returns the id of its thread.
pub(crate) async fn in_a_terminal(world: &World, prompt: &str) -> String {
    in_a_terminal_with(world, &[], &world.home.work(), prompt).await
}

/// The same with options and in another directory.
pub(crate) async fn in_a_terminal_with(
    world: &World,
    options: &[&str],
    directory: &Path,
    prompt: &str,
) -> String {
    let output = tokio::process::Command::new(codex_cli::fetch(CODEX_VERSION).unwrap())
        .args(["exec", "--json", "--skip-git-repo-check"])
        .args(options)
        .arg(prompt)
        .env_clear()
        .envs(world.home.env())
        .current_dir(directory)
        .stdin(std::process::Stdio::null())
        .output()
        .await
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let events =
        text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let mut ids = events.filter_map(|event| Some(event["thread_id"].as_str()?.to_owned()));
    ids.next().unwrap_or_else(|| panic!("no thread: {text}"))
}
