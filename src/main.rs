//! The thin binary: parse, configure, log, run, exit code.

use std::{collections::BTreeMap, io, process::ExitCode, time::Duration};

use anyhow::Context;
use clap::Parser;
use codex_mcp_server::{
    Place, cli,
    cli::{Args, Command, ConfigCommand},
    config,
    serve::{self, Shutdown},
    serve_stdio, telemetry,
};
use etcetera::BaseStrategy;

/// The configuration is wrong; usage errors are clap's, with the same code.
const EXIT_CONFIG: u8 = 2;

/// Anything else went wrong.
const EXIT_FAILED: u8 = 1;

fn main() -> ExitCode {
    let args = Args::parse();
    let resolved = match config::resolve(&args.flags(), &environment()) {
        Ok(resolved) => resolved,
        Err(error) => return fail(&error.into(), EXIT_CONFIG),
    };
    match run(&args, resolved) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error, EXIT_FAILED),
    }
}

fn run(args: &Args, resolved: config::Resolved) -> anyhow::Result<()> {
    if let Some(Command::Config(ConfigCommand::Show)) = args.command {
        return cli::show_config(&resolved, io::stdout()).context("cannot print the configuration");
    }
    telemetry::start(&resolved.config.log).context("log.level")?;
    let place = place()?;
    // One thread: we wait for others nearly all the time, and a call crosses no core.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let served = runtime.block_on(async {
        let shutdown = Shutdown::default();
        let _signals = tokio_util::task::AbortOnDropHandle::new(spawn_signals(shutdown.clone()));
        serve_stdio(resolved.config, place, shutdown.clone()).await?;
        anyhow::ensure!(!shutdown.at_once.is_cancelled(), "ended at once");
        Ok(())
    });
    // A read of standard input may still block a thread; nothing waits for it.
    runtime.shutdown_background();
    served
}

#[expect(
    clippy::disallowed_methods,
    reason = "this task ends with the process and belongs to nobody"
)]
fn spawn_signals(shutdown: Shutdown) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        if let Ok(mut signals) = serve::Signals::listen() {
            signals.next().await;
            shutdown.asked.cancel();
            signals.next().await;
            shutdown.at_once.cancel();
        }
    })
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
fn environment() -> config::Environment {
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    let variables: BTreeMap<String, String> = std::env::vars_os().filter_map(text).collect();
    let config_folder = etcetera::choose_base_strategy().ok().map(|base| base.config_dir());
    config::Environment { variables, config_folder }
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
fn place() -> anyhow::Result<Place> {
    let base = etcetera::choose_base_strategy().ok();
    let home = base.as_ref().map(|base| base.home_dir().to_owned());
    let codex_home = std::env::var_os("CODEX_HOME").map(std::path::PathBuf::from);
    let in_home = || home.clone().unwrap_or_default().join(".codex");
    Ok(Place {
        codex_home: codex_home.unwrap_or_else(in_home),
        directory: std::env::current_dir().context("the current directory is gone")?,
        home,
        // Windows has no folder for state.
        state_folder: base.map(|base| base.state_dir().unwrap_or_else(|| base.data_dir())),
        path: std::env::var_os("PATH"),
        client_limit: std::env::var("MCP_TOOL_TIMEOUT")
            .ok()
            .and_then(|text| text.trim().parse().ok())
            .map(Duration::from_millis),
    })
}

/// Prints what went wrong, with its causes, where people and clients look for it.
#[expect(clippy::print_stderr, reason = "the last word of the program")]
fn fail(error: &anyhow::Error, code: u8) -> ExitCode {
    eprintln!("codex-mcp-server: {error:#}");
    ExitCode::from(code)
}
