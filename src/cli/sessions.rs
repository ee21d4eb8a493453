//! `sessions`: show, export, copy and delete, by the same tools that clients call.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use serde_json::{Map, Value, json};

use super::{
    client::{Client, Paged},
    error::CliError,
    run::{Exit, complain},
    target::Target,
    terminal::Terminal,
    tools::{ToolCall, not_an_option},
    transcript,
};
use crate::serve::Streams;

/// How many turns are read at once.
const PAGE: u32 = 100;

/// The turns of a session.
const TURNS: Paged =
    Paged { tool: "getSession", items: "turns", next: "nextOffset", argument: "offset" };

/// What to do with sessions.
#[derive(Debug, Clone, Subcommand)]
pub enum SessionsCommand {
    /// List them, last used first
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Print what was said in one, as Markdown
    Show {
        /// Its name
        #[arg(allow_hyphen_values = true, value_parser = not_an_option)]
        session: String,
        /// Only this turn
        #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
        turn: Option<u32>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Write one to a file or to stdout
    Export {
        /// Its name
        #[arg(allow_hyphen_values = true, value_parser = not_an_option)]
        session: String,
        /// How
        #[arg(long, value_enum, default_value = "markdown")]
        format: Format,
        /// Where to [default: stdout]
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Replace the file if there is one
        #[arg(long)]
        force: bool,
    },
    /// Copy one, to try something else from there
    Fork {
        /// Its name
        #[arg(allow_hyphen_values = true, value_parser = not_an_option)]
        session: String,
        /// The copy's name [default: a new one is made]
        #[arg(long = "as", value_name = "NAME", allow_hyphen_values = true)]
        new: Option<String>,
        /// The last turn the copy has
        #[arg(long, value_name = "NUMBER")]
        turn: Option<u64>,
    },
    /// Rename one, and its thread in Codex
    Rename {
        /// Its name
        #[arg(allow_hyphen_values = true, value_parser = not_an_option)]
        session: String,
        /// Its new name
        #[arg(allow_hyphen_values = true, value_parser = not_an_option)]
        new: String,
    },
    /// Show what one has changed in its worktree
    Diff {
        /// Its name
        #[arg(allow_hyphen_values = true, value_parser = not_an_option)]
        session: String,
    },
    /// Bring what one has changed in its worktree into yours: everything, or nothing
    Apply {
        /// Its name
        #[arg(allow_hyphen_values = true, value_parser = not_an_option)]
        session: String,
    },
    /// Remove the worktree of one and its branch
    Discard {
        /// Its name
        #[arg(allow_hyphen_values = true, value_parser = not_an_option)]
        session: String,
        /// Even if something in it is nowhere else
        #[arg(long)]
        force: bool,
    },
    /// Delete some; Codex keeps its threads
    Delete {
        /// Their names
        #[arg(required = true, allow_hyphen_values = true, value_parser = not_an_option)]
        sessions: Vec<String>,
        /// Even if something in their worktrees is nowhere else
        #[arg(long)]
        force: bool,
    },
}

/// How a session is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Markdown,
    /// For programs
    Json,
}

impl SessionsCommand {
    /// Runs the command on the server connected to `streams`.
    ///
    /// # Errors
    /// [`CliError::Client`], [`CliError::Output`].
    pub async fn run(self, streams: Streams) -> Result<Exit, CliError> {
        let call = |name: &str, arguments: Value| ToolCall {
            name: name.to_owned(),
            arguments: arguments.as_object().cloned().unwrap_or_default(),
            json: false,
            from_input: None,
            is_waited_for: false,
        };
        match self {
            Self::List { json } => {
                super::run::run_tool(ToolCall { json, ..call("listSessions", json!({})) }, streams)
                    .await
            }
            Self::Fork { session, new, turn } => {
                let arguments = json!({"sessionId": session, "newSessionId": new, "turn": turn});
                super::run::run_tool(call("forkSession", arguments), streams).await
            }
            Self::Rename { session, new } => {
                let arguments = json!({"sessionId": session, "newSessionId": new});
                super::run::run_tool(call("renameSession", arguments), streams).await
            }
            Self::Show { session, turn, json } => {
                let format = if json { Format::Json } else { Format::Markdown };
                export(streams, &session, turn, format, Target::Screen).await
            }
            Self::Export { session, format, output, force } => {
                let target = output.map_or(Target::Screen, |path| Target::File { path, force });
                export(streams, &session, None, format, target).await
            }
            Self::Diff { session } => {
                let arguments = json!({"sessionId": session, "action": "diff"});
                super::run::run_tool(call("worktree", arguments), streams).await
            }
            Self::Apply { session } => {
                let arguments = json!({"sessionId": session, "action": "apply"});
                super::run::run_tool(call("worktree", arguments), streams).await
            }
            Self::Discard { session, force } => {
                let arguments = json!({"sessionId": session, "action": "discard", "force": force});
                super::run::run_tool(call("worktree", arguments), streams).await
            }
            Self::Delete { sessions, force } => delete(streams, sessions, force).await,
        }
    }
}

async fn delete(streams: Streams, sessions: Vec<String>, force: bool) -> Result<Exit, CliError> {
    let mut terminal = Terminal::silent();
    let mut client = Client::begin(streams, false).await?;
    let mut exit = Exit::Done;
    for session in sessions {
        let arguments = Map::from_iter([
            ("sessionId".to_owned(), session.clone().into()),
            ("force".to_owned(), force.into()),
        ]);
        let output = client.call("deleteSession", arguments, &mut terminal).await?;
        if output.is_error {
            exit = complain(&output)?;
        } else {
            Target::Screen.write(&format!("deleted {session}\n"))?;
        }
    }
    Ok(exit)
}

async fn export(
    streams: Streams,
    session: &str,
    turn: Option<u32>,
    format: Format,
    target: Target,
) -> Result<Exit, CliError> {
    let mut client = Client::begin(streams, false).await?;
    let mut terminal = Terminal::silent();
    let mut arguments = Map::from_iter([("sessionId".to_owned(), session.into())]);
    let read = if let Some(number) = turn {
        arguments.insert("turn".to_owned(), number.into());
        client.call(TURNS.tool, arguments, &mut terminal).await?
    } else {
        arguments.insert("limit".to_owned(), PAGE.into());
        client.every_page(&TURNS, arguments, &mut terminal).await?
    };
    if read.is_error {
        return match (format, target) {
            (Format::Json, Target::Screen) => {
                let exit = Exit::of(&read);
                let text = format!("{:#}\n", Value::Object(read.structured));
                Target::Screen.write(&text)?;
                Ok(exit)
            }
            _ => complain(&read),
        };
    }
    let text = match format {
        Format::Json => format!("{:#}\n", Value::Object(read.structured)),
        Format::Markdown => transcript::markdown(&read.structured),
    };
    target.write(&text)?;
    Ok(Exit::Done)
}
