//! The thin binary: parse, configure, log, run, exit code.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    io::{self, Write},
    process::ExitCode,
    time::Duration,
};

use anyhow::Context;
use codex_mcp_server::{
    Args, Asks, CliError, Command, Config, ConfigCommand, Environment, Exit, Fixed, Flags, Lineage,
    PageUrl, Resolved, ServerError, Shown, Shutdown, Signals, Variables, check_tools, resolve,
    review_since, run_tool, serve_here, serve_http, serve_page, serve_stdio, serve_terminal,
    servers, show_completions, show_config, show_manual, show_schema, start_telemetry, stderr,
    stdout, tokens, written,
};
#[cfg(unix)]
use codex_mcp_server::{Role, become_bridge, host_folders};
use etcetera::BaseStrategy;

#[cfg(unix)]
mod roles;

fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    match words.split_first() {
        #[cfg(unix)]
        Some((word, rest)) if let Some(role) = Role::of(word) => roles::play(role, rest),
        _ => typed(&words, Served::ByHost),
    }
}

/// Who serves a client that starts this program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Served {
    /// A host, if one can be had.
    ByHost,
    /// This process.
    Here,
}

/// Does what was typed, by a person or a client.
fn typed(words: &[OsString], served: Served) -> ExitCode {
    let read = match read(words) {
        Ok(read) => read,
        Err(code) => return code,
    };
    match run(read, words, served) {
        Ok(exit) => ExitCode::from(exit.code()),
        Err(error) => match error.downcast_ref() {
            Some(CliError::Usage(_)) => fail(&error, Exit::Usage),
            _ => fail(&error, Exit::Failed),
        },
    }
}

/// What was typed, and the settings it brings.
struct Typed {
    command: Command,
    flags: Flags,
    resolved: Resolved,
}

/// Reads what was typed. If it is wrong or asks for help only, the exit code is the error.
fn read(words: &[OsString]) -> Result<Typed, ExitCode> {
    let args = Args::parse(words).map_err(ExitCode::from)?;
    let flags = args.flags();
    let resolved = resolve(&flags, &variables());
    let resolved = resolved.map_err(|error| fail(&error.into(), Exit::Usage))?;
    check_tools(&resolved).map_err(|error| fail(&error.into(), Exit::Usage))?;
    Ok(Typed { command: args.command, flags, resolved })
}

fn run(typed: Typed, words: &[OsString], served: Served) -> anyhow::Result<Exit> {
    let Typed { command, flags, mut resolved } = typed;
    if !command.is_for_anybody() && !Lineage::of(None).is_trusted() {
        return Err(ServerError::Nested.into());
    }
    // A terminal finds the host of clients that are configured alike, whatever it logs itself.
    let config = resolved.config.clone();
    // What is served is watched over by its log; on the command line only what matters is told.
    let is_http = matches!(&command, Command::Fixed(Fixed::Serve(how)) if how.is_http());
    let is_served = is_http || matches!(command, Command::Fixed(Fixed::Serve(_)));
    let is_chosen = resolved.origins.get("log.level").is_some_and(|(_, place)| place != "default");
    if !is_served && !is_chosen {
        "error".clone_into(&mut resolved.config.log.level);
    }
    let environment = environment()?;
    // Before the log, which a bridge may never need.
    #[cfg(unix)]
    let alone = (is_served && !is_http && served == Served::ByHost)
        .then(|| become_bridge(config.clone(), &environment, words));
    let _telemetry = start_telemetry(&resolved.config.log).context("log")?;
    #[cfg(unix)]
    if let Some(reason) = alone.filter(|reason| !reason.is_wanted()) {
        let reason: &dyn std::error::Error = &reason;
        tracing::warn!(reason, "this client has a server of its own");
    }
    let command = match command {
        #[cfg(unix)]
        Command::Fixed(Fixed::Host(command)) => {
            return Ok(command.run(&host_folders(&environment))?);
        }
        Command::Fixed(Fixed::Config(ConfigCommand::Show)) => {
            let shown = show_config(&resolved, stdout());
            return printed(shown, "the configuration");
        }
        Command::Fixed(Fixed::Config(ConfigCommand::Schema)) => {
            return printed(show_schema(stdout()), "the schema");
        }
        Command::Fixed(Fixed::Completions { shell }) => {
            return printed(show_completions(shell, stdout()), "the completions");
        }
        Command::Fixed(Fixed::Man) => {
            return printed(show_manual(stdout()), "the manual page");
        }
        // Before anything is started, because it may take as long as somebody types.
        Command::Tool(call) => Command::Tool(call.complete()?),
        fixed @ Command::Fixed(_) => fixed,
    };
    let exit = wait_for(is_http, |shutdown| async {
        let asked = shutdown.asked.clone();
        let work = dispatch(command, &flags, resolved, config, environment, shutdown);
        let exit = Box::pin(work).await;
        if !is_served && asked.is_cancelled() { Ok(Exit::Interrupted) } else { exit }
    });
    exit?
}

/// Runs until `work` is done, with the signals that ask for an end. Only what `reloads` does not end at a hangup.
fn wait_for<T, W>(reloads: bool, work: impl FnOnce(Shutdown) -> W) -> anyhow::Result<T>
where
    W: Future<Output = T>,
{
    // One thread: we wait for others nearly all the time, and a call crosses no core.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let shutdown = Shutdown::default();
    let at_once = shutdown.at_once.clone();
    let done = runtime.block_on(async {
        let _signals =
            tokio_util::task::AbortOnDropHandle::new(spawn_signals(shutdown.clone(), reloads));
        work(shutdown).await
    });
    // A read of standard input may still block a thread; nothing waits for it.
    runtime.shutdown_background();
    anyhow::ensure!(!at_once.is_cancelled(), "ended at once");
    Ok(done)
}

fn printed(result: io::Result<()>, what: &str) -> anyhow::Result<Exit> {
    written(result, what)?;
    Ok(Exit::Done)
}

async fn dispatch(
    command: Command,
    flags: &Flags,
    resolved: Resolved,
    config: Config,
    environment: Environment,
    shutdown: Shutdown,
) -> anyhow::Result<Exit> {
    Ok(match command {
        Command::Tool(call) => {
            let starts = call.is_detached();
            let work = |streams| run_tool(call, streams);
            let done =
                Box::pin(serve_terminal(config, environment, shutdown, starts, work)).await?;
            done.unwrap_or(Ok(Exit::Interrupted))?
        }
        Command::Fixed(Fixed::Sessions(command)) => {
            let work = |streams| command.run(streams);
            let done = Box::pin(serve_terminal(config, environment, shutdown, false, work)).await?;
            done.unwrap_or(Ok(Exit::Interrupted))?
        }
        Command::Fixed(Fixed::Approvals(approvals)) => {
            let work = async |sessions, _| approvals.run(&sessions).await;
            Box::pin(serve_here(config, environment, shutdown, work)).await??
        }
        Command::Fixed(Fixed::Doctor(doctor))
            if let Some((url, token_env)) = doctor.remote().map(owned) =>
        {
            let variable = |name: String| {
                let value = environment.variables.get(OsStr::new(&name));
                let value = value.and_then(|value| value.to_str().map(str::to_owned));
                value.with_context(|| format!("there is no variable {name}"))
            };
            let token = token_env.map(variable).transpose()?;
            doctor.run_remote(&url, token.as_deref()).await?
        }
        Command::Fixed(Fixed::Doctor(doctor)) => {
            #[cfg(unix)]
            let folders = host_folders(&environment);
            #[cfg(not(unix))]
            let folders = Vec::new();
            let work =
                async |sessions, streams| doctor.run(&resolved, &sessions, streams, &folders).await;
            Box::pin(serve_here(config, environment, shutdown, work)).await??
        }
        Command::Fixed(Fixed::Gate(gate)) => {
            let hook = if gate.is_hook() { piped_json() } else { serde_json::Value::Null };
            let (directory, state) = (environment.directory.clone(), environment.own_state());
            let state = state.context("there is no folder for state")?;
            let git = environment.git();
            let review = async |tree| {
                let work = |streams| review_since(streams, tree);
                let done = serve_terminal(config, environment, shutdown, true, work).await?;
                done.unwrap_or_else(|| Ok(serde_json::Value::Null))
            };
            Box::pin(gate.run(&git, &directory, &state, &hook, review)).await?
        }
        Command::Fixed(Fixed::Transfer(transfer)) => {
            let in_home = || environment.home.clone().unwrap_or_default().join(".claude");
            let claude = environment.claude_folder.clone().unwrap_or_else(in_home);
            let directory = environment.directory.clone();
            let work = async |sessions, _| transfer.run(&sessions, &claude, directory).await;
            Box::pin(serve_here(config, environment, shutdown, work)).await??
        }
        Command::Fixed(Fixed::Token(command)) => {
            command.run(&tokens(&config, &environment)?, &config).await?
        }
        Command::Fixed(Fixed::Ui(ui)) => {
            let mut shown = Shown::default();
            let folder = environment.own_state().map(|state| state.join("page"));
            let told = |url: &PageUrl| ui.show(url.as_str(), folder.as_deref(), &mut shown);
            Box::pin(serve_page(config, environment, shutdown, ui.port, told)).await?;
            Exit::Done
        }
        Command::Fixed(Fixed::Servers(list)) => list.run(&servers(&config, &environment)?).await?,
        Command::Fixed(Fixed::Serve(how)) if how.is_http() => {
            let told = |url: &str| {
                // Whoever started this reads it, or does not.
                let _ = writeln!(stdout(), "{url}");
            };
            serve_http(config, environment, shutdown, told).await?;
            Exit::Done
        }
        Command::Fixed(Fixed::Setup(setup)) => setup.run(flags, &environment).await?,
        Command::Fixed(_) => {
            Box::pin(serve_stdio(config, environment, shutdown)).await?;
            Exit::Done
        }
    })
}

fn owned((url, name): (&str, Option<&str>)) -> (String, Option<String>) {
    (url.to_owned(), name.map(str::to_owned))
}

/// What a client that runs this program as a hook says of its turn. Null if that is not JSON.
fn piped_json() -> serde_json::Value {
    const LONGEST: u64 = 4 * 1024 * 1024;
    let mut bytes = Vec::new();
    // What cannot be read says nothing.
    let _ = io::Read::read_to_end(&mut io::Read::take(io::stdin().lock(), LONGEST), &mut bytes);
    serde_json::from_slice(&bytes).unwrap_or_default()
}

#[expect(
    clippy::disallowed_methods,
    reason = "this task ends with the process and belongs to nobody"
)]
fn spawn_signals(shutdown: Shutdown, reloads: bool) -> tokio::task::JoinHandle<()> {
    // Here and not in the task: a signal may come before the task has run for the first time.
    let signals = Signals::listen();
    tokio::spawn(async move {
        if let Ok(mut signals) = signals {
            for end in [&shutdown.asked, &shutdown.at_once] {
                while signals.next().await == Asks::Hangup && reloads {
                    shutdown.hangup.notify_one();
                }
                end.cancel();
            }
        }
    })
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
fn variables() -> Variables {
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    let values: BTreeMap<String, String> = std::env::vars_os().filter_map(text).collect();
    let config_folder = etcetera::choose_base_strategy().ok().map(|base| base.config_dir());
    Variables { values, config_folder }
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
fn environment() -> anyhow::Result<Environment> {
    let folder = |name: &str| {
        let path = std::env::var_os(name).filter(|path| !path.is_empty());
        path.map(std::path::PathBuf::from)
    };
    let base = etcetera::choose_base_strategy().ok();
    let native = etcetera::base_strategy::choose_native_strategy().ok();
    let home = base.as_ref().map(|base| base.home_dir().to_owned());
    let in_home = || home.clone().unwrap_or_default().join(".codex");
    Ok(Environment {
        codex_home: folder("CODEX_HOME").unwrap_or_else(in_home),
        directory: std::env::current_dir().context("the current directory is gone")?,
        home,
        config_folder: base.as_ref().map(BaseStrategy::config_dir),
        // On macOS it is the one for data, on Linux the one for configuration; on Windows they are one.
        app_folder: native.map(|native| {
            if cfg!(target_os = "macos") { native.data_dir() } else { native.config_dir() }
        }),
        claude_folder: folder("CLAUDE_CONFIG_DIR"),
        executable: std::env::current_exe().context("this program does not know where it is")?,
        // Windows has no folder for state.
        state_folder: base.map(|base| base.state_dir().unwrap_or_else(|| base.data_dir())),
        runtime_folder: folder("XDG_RUNTIME_DIR").filter(|folder| folder.is_absolute()),
        path: std::env::var_os("PATH"),
        variables: std::env::vars_os().collect(),
        launcher: Vec::new(),
        tenant: None,
        api_key: None,
        processes: None,
        database: None,
        codex_variables: None,
        client_limit: std::env::var("MCP_TOOL_TIMEOUT")
            .ok()
            .and_then(|text| text.trim().parse().ok())
            .filter(|limit| *limit > 0)
            .map(Duration::from_millis),
    })
}

/// Prints what went wrong, with its causes, where people and clients look for it.
fn fail(error: &anyhow::Error, exit: Exit) -> ExitCode {
    // If that cannot be written, the exit code says that something went wrong.
    let _ = writeln!(stderr(), "codex-mcp-server: {error:#}");
    ExitCode::from(exit.code())
}
