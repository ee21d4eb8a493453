//! `gate`: a review by Codex before Claude Code ends a turn in which files have changed. Off until a project turns it on.
//!
//! Claude Code runs `gate begin` when the user has said something and `gate check` when it is about to stop; both do
//! nothing where the gate is off. A check that cannot be made lets the turn end and says why.

mod check;
mod state;

use std::{io::Write, path::Path};

use clap::Subcommand;
use serde_json::Value;

use super::{
    error::CliError,
    run::{Exit, written},
};
use crate::{codex::Repository, serve::Streams};
use state::{Began, State};

/// How to turn it off, said in every message.
const OFF: &str = "Turn the gate off with /codex:gate-off, or `codex-mcp-server gate off`.";

/// A review before Claude Code ends a turn, in this project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand)]
pub enum GateCommand {
    /// Turn it on for the project in the current directory
    On,
    /// Turn it off
    Off,
    /// Say whether it is on
    Status,
    /// For Claude Code: a turn begins
    #[command(hide = true)]
    Begin,
    /// For Claude Code: a turn is about to end
    #[command(hide = true)]
    Check,
}

impl GateCommand {
    /// Runs the command for the project in `directory`. `state` is the server's folder for state; `hook` is what Claude
    /// Code says of the turn. A review is asked for on the server that `connect` reaches.
    ///
    /// # Errors
    /// [`CliError::Usage`] if the directory is in no repository or the state cannot be written; [`CliError::Output`].
    pub async fn run<C: Future<Output = Result<Value, CliError>>>(
        self,
        directory: &Path,
        folder: &Path,
        hook: &Value,
        review: impl FnOnce(String) -> C,
    ) -> Result<Exit, CliError> {
        let is_hook = matches!(self, Self::Begin | Self::Check);
        let repository = Repository::at(directory);
        let root = match repository.root().await {
            Ok(root) => root,
            // Where there is no repository, no gate was turned on.
            Err(_) if is_hook => return Ok(Exit::Done),
            Err(error) => return Err(CliError::Usage(error.to_string())),
        };
        let mut state = State::read(folder, &root);
        let said = match self {
            Self::On => {
                state.is_on = true;
                state.write().map_err(|error| unwritten(&error))?;
                Some(format!(
                    "The gate is on for {}: before a turn ends in which files have changed, Codex reviews them. {OFF}",
                    root.display()
                ))
            }
            Self::Off => {
                (state.is_on, state.began) = (false, None);
                state.blocked.clear();
                state.write().map_err(|error| unwritten(&error))?;
                Some(format!("The gate is off for {}.", root.display()))
            }
            Self::Status => {
                let is = if state.is_on { "on" } else { "off" };
                Some(format!("The gate is {is} for {}.", root.display()))
            }
            Self::Begin | Self::Check if !state.is_on => None,
            Self::Begin => {
                // A hook's output would become part of the prompt.
                let tree = repository.snapshot().await.ok();
                state.began = tree.map(|tree| Began { tree });
                let _ = state.write();
                None
            }
            Self::Check => {
                let answer = check::check(&repository, state, hook, review).await;
                answer.map(|answer| answer.to_string())
            }
        };
        let Some(said) = said else { return Ok(Exit::Done) };
        written(writeln!(super::screen::stdout(), "{said}"), "the gate's answer")?;
        Ok(Exit::Done)
    }

    /// Whether Claude Code runs it, and says of the turn on standard input.
    pub fn is_hook(self) -> bool {
        matches!(self, Self::Begin | Self::Check)
    }
}

/// Has the server at the other end review what has changed since `tree`.
///
/// # Errors
/// [`CliError::Client`] if it gives no answer.
pub async fn review_since(streams: Streams, tree: String) -> Result<Value, CliError> {
    check::review(streams, tree).await
}

fn unwritten(error: &std::io::Error) -> CliError {
    CliError::Usage(format!("the gate's state cannot be written: {error}"))
}
