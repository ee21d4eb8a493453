//! Flags and subcommands. Tools are subcommands too, made from their own schemas in [`super::tools`].

use std::{ffi::OsString, io::Write, path::PathBuf};

use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand, error::ErrorKind};

use super::{
    approvals::ApprovalsArgs,
    doctor::DoctorArgs,
    gate::GateCommand,
    screen,
    servers::ServersArgs,
    sessions::SessionsCommand,
    setup::SetupArgs,
    token::TokenCommand,
    tools::{self, ToolCall},
    transfer::TransferArgs,
    ui::UiArgs,
};
use crate::{config::Flags, mcp::visible};

/// The command line as it was typed.
#[derive(Debug)]
pub struct Args {
    /// The command to run.
    pub command: Command,
    common: Common,
}

/// A command.
#[derive(Debug)]
pub enum Command {
    /// A subcommand that is not a tool.
    Fixed(Fixed),
    /// A tool.
    Tool(ToolCall),
}

impl Command {
    /// Whether it does nothing but tell, or serves a client that is told itself what it may not. A process that descends
    /// from a Codex of ours may do no more.
    pub fn is_for_anybody(&self) -> bool {
        match self {
            Self::Fixed(Fixed::Serve(how)) => !how.is_http(),
            Self::Fixed(
                Fixed::Doctor(_) | Fixed::Config(_) | Fixed::Completions { .. } | Fixed::Man,
            ) => true,
            _ => false,
        }
    }
}

/// MCP server over the OpenAI Codex CLI: named conversations that continue.
///
/// Without a subcommand it serves MCP over standard input and output, which is how clients start it.
/// Every tool it offers is a subcommand as well, over the same sessions.
#[derive(Debug, Parser)]
#[command(name = "codex-mcp-server", version, about, max_term_width = 100)]
struct Typed {
    #[command(subcommand)]
    command: Option<Fixed>,

    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Clone, Default, clap::Args)]
struct Common {
    /// Configuration file [default: codex-mcp-server/config.toml in the user's configuration folder]
    #[arg(long, value_name = "FILE", global = true, help_heading = SERVER)]
    config: Option<PathBuf>,

    /// The Codex binary [default: found on PATH and in the usual places]
    #[arg(long, value_name = "FILE", global = true, help_heading = SERVER)]
    codex_bin: Option<PathBuf>,

    /// `memory`, `sqlite`, the path of a SQLite file, or the URL of a PostgreSQL database
    #[arg(long, value_name = "STORE", global = true, help_heading = SERVER)]
    store: Option<String>,

    /// Offer only these tools
    #[arg(long, value_name = "NAME,…", global = true, help_heading = SERVER)]
    tools: Option<String>,

    /// `vendor`: also be a drop-in for Codex's own removed `codex mcp-server`
    #[arg(long, value_name = "WHOSE", global = true, help_heading = SERVER)]
    compat: Option<String>,

    /// error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL", global = true, help_heading = SERVER)]
    log_level: Option<String>,

    /// text or json
    #[arg(long, value_name = "FORMAT", global = true, help_heading = SERVER)]
    log_format: Option<String>,

    /// Any setting by its key, such as `session.ttl=48h`; see `config show` for all
    #[arg(long, value_name = "KEY=VALUE", global = true, value_parser = key_value, help_heading = SERVER)]
    set: Vec<(String, String)>,
}

const SERVER: &str = "Server options";

/// Subcommands that are not tools.
#[derive(Debug, Clone, Subcommand)]
pub enum Fixed {
    /// Serve MCP over standard input and output (the default), or over HTTP
    Serve(ServeArgs),
    /// Make, list and end tokens for callers over HTTP
    #[command(subcommand)]
    Token(TokenCommand),
    /// Show sessions in a browser: what runs, what was said, what Codex asks
    Ui(UiArgs),
    /// Show the servers that share a database, and what runs where
    Servers(ServersArgs),
    /// Find out what is wrong and how to fix it
    Doctor(DoctorArgs),
    /// Register this server with a client
    Setup(SetupArgs),
    /// Show, export, copy and delete sessions
    #[command(subcommand)]
    Sessions(SessionsCommand),
    /// List and answer what Codex asks, in all sessions
    Approvals(ApprovalsArgs),
    /// Look at the processes that serve your clients, and end them
    #[cfg(unix)]
    #[command(subcommand)]
    Host(super::host::HostCommand),
    /// Have Codex review what changed before Claude Code ends a turn
    #[command(subcommand)]
    Gate(GateCommand),
    /// Make a session of what was said in Claude Code
    Transfer(TransferArgs),
    /// Look at the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man,
}

/// How to serve.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ServeArgs {
    /// Serve many clients over HTTP at this address [default: `http.address`, 127.0.0.1:8765]
    #[expect(clippy::option_option, reason = "not given, given without a value, given with one")]
    #[arg(long, value_name = "ADDRESS")]
    http: Option<Option<String>>,
    /// Take everybody who can connect for the operator; on a loopback address alone
    #[arg(long, requires = "http")]
    no_auth: bool,
    /// The URL that clients reach it at, if there is a proxy or a name for it [default: the address]
    #[arg(long, value_name = "URL", requires = "http")]
    base_url: Option<String>,
}

impl ServeArgs {
    /// Whether it is HTTP.
    pub fn is_http(&self) -> bool {
        self.http.is_some()
    }
}

/// What to do with the configuration.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum ConfigCommand {
    /// Print every setting in force and where it comes from
    Show,
    /// Print the JSON schema of the configuration file, for editors
    Schema,
}

/// The whole command line: the subcommands above and one for each tool.
pub(super) fn command_line() -> clap::Command {
    let tools = tools::commands().into_iter().enumerate();
    let tools: Vec<_> = tools.map(|(place, tool)| tool.display_order(place)).collect();
    // What people ask for most comes first.
    let mut place = tools.len();
    let typed = Typed::command().mut_subcommands(|command| {
        place += 1;
        command.display_order(place)
    });
    // One of the tools has this name.
    let typed = typed.disable_help_subcommand(true);
    typed.subcommands(tools).after_long_help(AFTER)
}

const AFTER: &str = "\
`COMMAND --help` explains a command; `help` says how sessions work and what was found here.\n\n\
Exit codes: 0 done; 1 it failed; 2 a mistake in arguments or configuration; 3 the turn is still running; \
130 interrupted.";

impl Args {
    /// Reads a command line, without the program's name.
    ///
    /// # Errors
    /// If it is wrong, or asks for help only. That is printed already; the error is the exit code.
    pub fn parse(words: &[OsString]) -> Result<Self, u8> {
        if words.is_empty() {
            // As most clients start it: nothing to read.
            return Ok(Self {
                command: Command::Fixed(Fixed::Serve(ServeArgs::default())),
                common: Common::default(),
            });
        }
        let words = || std::iter::once("codex-mcp-server".into()).chain(words.iter().cloned());
        // A server should not wait for flags to be made of all the tools' schemas.
        let served = Typed::command().disable_help_subcommand(true).try_get_matches_from(words());
        let matches = served.or_else(|_| command_line().try_get_matches_from(words()));
        let matches = matches.map_err(|error| said(&error))?;
        if let Some(topic) = topic(&matches) {
            return Err(explained(&topic).unwrap_or_else(|error| said(&error)));
        }
        Self::read(&matches).map_err(|error| said(&error))
    }

    fn read(matches: &ArgMatches) -> Result<Self, clap::Error> {
        if let Some((name, given)) = matches.subcommand()
            && let Some(call) = tools::read(name, given)
        {
            let command = Command::Tool(call);
            return Ok(Self { command, common: Common::from_arg_matches(matches)? });
        }
        let Typed { command, common } = Typed::from_arg_matches(matches)?;
        Ok(Self {
            command: Command::Fixed(command.unwrap_or_else(|| Fixed::Serve(ServeArgs::default()))),
            common,
        })
    }

    /// The flags as settings, in the order in which they win.
    pub fn flags(&self) -> Flags {
        let Common { config, codex_bin, store, tools, compat, log_level, log_format, set } =
            &self.common;
        let mut settings = set.clone();
        let mut add = |key: &str, value: String| settings.push((key.to_owned(), value));
        if let Some(path) = codex_bin {
            add("codex.bin", path.display().to_string());
        }
        match store.as_deref() {
            None => {}
            Some(kind @ ("memory" | "sqlite")) => add("store.kind", kind.to_owned()),
            Some(url) if url.starts_with("postgres://") || url.starts_with("postgresql://") => {
                add("store.kind", "postgres".to_owned());
                add("store.url", url.to_owned());
            }
            Some(path) => {
                add("store.kind", "sqlite".to_owned());
                add("store.path", path.to_owned());
            }
        }
        if let Command::Fixed(Fixed::Serve(ServeArgs { http, no_auth, base_url })) = &self.command {
            if let Some(Some(address)) = http {
                add("http.address", address.clone());
            }
            if let Some(url) = base_url {
                add("http.base_url", url.clone());
            }
            if *no_auth {
                add("http.auth", "false".to_owned());
            }
        }
        let words = [
            ("tools", tools),
            ("compat", compat),
            ("log.level", log_level),
            ("log.format", log_format),
        ];
        for (key, value) in words {
            if let Some(value) = value {
                add(key, value.clone());
            }
        }
        Flags { file: config.clone(), settings }
    }
}

/// The command that `help` was asked to explain. `None` if it was asked about the server.
fn topic(matches: &ArgMatches) -> Option<Vec<String>> {
    let (_, given) = matches.subcommand().filter(|(name, _)| *name == "help")?;
    let words = given.get_many::<String>(tools::TOPIC)?;
    Some(words.cloned().collect()).filter(|words: &Vec<String>| !words.is_empty())
}

/// Prints how to use a command, and returns the exit code.
fn explained(topic: &[String]) -> Result<u8, clap::Error> {
    let mut line = command_line();
    line.build();
    let mut command = &line;
    for word in topic {
        let Some(found) = command.find_subcommand(word) else {
            let reason = format!("there is no command `{}`", topic.join(" "));
            return Err(line.clone().error(ErrorKind::InvalidSubcommand, reason));
        };
        command = found;
    }
    // Whatever happens to it, the exit code is the same.
    let _ = command.clone().print_long_help();
    Ok(0)
}

/// Prints help, or what is wrong, and returns the exit code.
fn said(error: &clap::Error) -> u8 {
    // It repeats what was typed; clap would print that as it is.
    let text = error.render().to_string();
    if visible(&text) == text {
        // Whatever happens to it, the exit code is the same.
        let _ = error.print();
    } else {
        let _ = screen::stderr().write_all(text.as_bytes());
    }
    error.exit_code().try_into().unwrap_or(1)
}

fn key_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("it must be KEY=VALUE")?;
    Ok((key.trim().to_owned(), value.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(words: &[&str]) -> Args {
        let words = [&["x"], words].concat();
        Args::read(&command_line().try_get_matches_from(words).unwrap()).unwrap()
    }

    #[test]
    fn the_command_line_is_well_formed() {
        command_line().debug_assert();
    }

    #[test]
    fn flags_become_settings_wherever_they_stand() {
        for words in [
            &["--store", "/tmp/s.db", "--set", "session.cap=3", "serve"][..],
            &["ping", "--store", "/tmp/s.db", "--set", "session.cap=3"][..],
        ] {
            let settings = read(words).flags().settings;
            let has = |key: &str, value: &str| settings.contains(&(key.into(), value.into()));
            assert!(has("store.kind", "sqlite") && has("store.path", "/tmp/s.db"));
            assert!(has("session.cap", "3"));
        }
    }

    #[test]
    fn without_a_subcommand_it_serves_and_a_tool_is_one() {
        assert!(matches!(read(&[]).command, Command::Fixed(Fixed::Serve(_))));
        let Command::Tool(call) = read(&["ping", "there?"]).command else { panic!("no tool") };
        assert_eq!(
            (call.name.as_str(), json!(call.arguments)),
            ("ping", json!({"message": "there?"}))
        );
    }
}
