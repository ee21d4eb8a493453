//! Shows the main job on the real Codex CLI, without any account: a conversation that continues after
//! the server was restarted. Only the model is a stand-in.
//!
//! `cargo run --example demo`

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use serde_json::{Value, json};
use testkit::{CODEX_VERSION, Client, Home, Launch, Model, ModelRequest, Reply, codex_cli};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match show().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("the demo cannot go on: {reason}");
            ExitCode::FAILURE
        }
    }
}

async fn show() -> Result<(), String> {
    step("the real Codex CLI, and this server");
    let codex = codex_cli::fetch(CODEX_VERSION)?;
    println!("  building the server, as the tests will use it:");
    let server = build_server()?;
    println!("  Codex {CODEX_VERSION}: {}", codex.display());
    println!("  server: {}", server.display());
    let model = Model::with(answer).await;
    println!("  a stand-in for the model listens on {}", model.url());
    let home = Home::new(&model.url());
    let launch = Launch::new(server, &home, &codex);

    step("an MCP client starts the server and talks to Codex in a session it calls `colours`");
    let client = launch.connect().await;
    ask(&client, "My favourite colour is teal. Please remember it.").await?;
    ask(&client, "Which colour did I name?").await?;

    step("the server is stopped, and another one started");
    client.close().await;
    let client = launch.connect().await;
    ask(&client, "And after the restart: which colour was it?").await?;
    ask_in(&client, "weather", "Something else altogether: is it raining?").await?;

    step("listSessions");
    let listed = client.call("listSessions", json!({})).await;
    table(&listed["sessions"]);
    client.close().await;

    step("with your own account");
    println!(
        "  npm install -g @openai/codex && codex login\n  \
         cargo install --path .\n  \
         codex-mcp-server setup claude-code     # or another client, see README.md"
    );
    Ok(())
}

async fn ask(client: &Client, prompt: &str) -> Result<(), String> {
    ask_in(client, "colours", prompt).await
}

async fn ask_in(client: &Client, session: &str, prompt: &str) -> Result<(), String> {
    println!("\n  you    {prompt}");
    let reply = client.call("codex", json!({"prompt": prompt, "sessionId": session})).await;
    if reply.is_error {
        return Err(reply.text);
    }
    println!("  codex  {}", text(&reply["response"]));
    println!(
        "         session {} · turn {} · {} · {} ms",
        text(&reply["sessionId"]),
        reply["turn"],
        text(&reply["continuity"]),
        reply["durationMs"]
    );
    Ok(())
}

/// The stand-in: it knows only what Codex shows it, so it can answer only if the conversation is there.
fn answer(request: &ModelRequest) -> Reply {
    let prompts = request.prompts();
    let (last, earlier) = prompts.split_last().expect("a prompt");
    let colour = earlier.iter().find_map(|prompt| {
        let (_, after) = prompt.split_once("colour is ")?;
        after.split(['.', ' ']).next()
    });
    Reply::text(match (last.contains("colour"), colour) {
        _ if last.contains("remember") => "I will remember that.".to_owned(),
        (true, Some(colour)) => format!("You said {colour}."),
        (true, None) => "You have not told me.".to_owned(),
        (false, _) => "I cannot see out of the window.".to_owned(),
    })
}

/// Cargo builds an example without the binaries that it shows, so this asks for them: with the profile and the features
/// of the tests, which `--example` makes Cargo choose, so that nothing is built twice. Cargo shows how far it is.
fn build_server() -> Result<PathBuf, String> {
    let own = env::current_exe().map_err(|e| e.to_string())?;
    let folder =
        own.parent().and_then(Path::parent).ok_or("the demo is not where Cargo puts it")?;
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.args(["build", "--example", "demo", "--bins"]);
    build.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."));
    if folder.ends_with("release") {
        build.arg("--release");
    }
    let status = build.status().map_err(|e| format!("cannot run cargo: {e}"))?;
    let binary = folder.join(format!("codex-mcp-server{}", env::consts::EXE_SUFFIX));
    if status.success() && binary.is_file() {
        Ok(binary)
    } else {
        Err("cargo could not build the server".to_owned())
    }
}

fn table(sessions: &Value) {
    let columns =
        [("id", 10), ("turnCount", 9), ("status", 10), ("model", 9), ("lastAccessedAt", 30)];
    let line = |cell: &dyn Fn(&str) -> String| {
        let cells = columns.map(|(name, width)| format!("{:<width$}", cell(name)));
        println!("  {}", cells.join("  ").trim_end());
    };
    line(&|name| name.to_owned());
    for session in sessions.as_array().into_iter().flatten() {
        line(&|name| match &session[name] {
            Value::String(text) => text.clone(),
            Value::Null => "-".to_owned(),
            other => other.to_string(),
        });
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn step(what: &str) {
    println!("\n== {what}");
}
