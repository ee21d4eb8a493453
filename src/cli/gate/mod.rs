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
use crate::{
    git::{Git, RepositoryError},
    serve::Streams,
};
use state::{Began, State, StateFile};

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
        git: &Git,
        directory: &Path,
        folder: &Path,
        hook: &Value,
        review: impl FnOnce(String) -> C,
    ) -> Result<Exit, CliError> {
        let is_hook = matches!(self, Self::Begin | Self::Check);
        let repository = git.repository(directory);
        let root = match repository.root().await {
            Ok(root) => root,
            // Where there is no repository, no gate was turned on.
            Err(_) if is_hook => return Ok(Exit::Done),
            Err(error) => return Err(CliError::Usage(error.to_string())),
        };
        let file = StateFile::new(folder, &root);
        let state = file.read();
        let said = match (self, state) {
            (Self::On, _) => {
                file.change(|state| state.is_on = true).map_err(|error| unwritten(&error))?;
                let root = root.display();
                Some(format!(
                    "The gate is on for {root}: before a turn ends in which files have changed, Codex reviews them. {OFF}"
                ))
            }
            (Self::Off, _) => {
                let off = |state: &mut State| *state = State::default();
                file.change(off).map_err(|error| unwritten(&error))?;
                repository.forget_snapshots().await.map_err(|error| forgotten(&error))?;
                Some(format!("The gate is off for {}.", root.display()))
            }
            (Self::Status, state) => {
                let state = state.map_err(|error| unwritten(&error))?;
                let is = if state.is_on { "on" } else { "off" };
                Some(format!("The gate is {is} for {}.", root.display()))
            }
            // Its output would become part of the prompt.
            (Self::Begin, Err(_)) => None,
            (Self::Check, Err(error)) => Some(check::open(&error.to_string()).to_string()),
            (_, Ok(state)) if !state.is_on => None,
            (Self::Begin, Ok(_)) => {
                let conversation = conversation(hook);
                // Written first, so that the end of another turn does not remove what this one begins with.
                let unread = Began::Unknown("its beginning was not read to the end".to_owned());
                let first = conversation.clone();
                let _ = file.change(|state| drop(state.began.insert(first, unread)));
                let began = match repository.snapshot().await {
                    Ok(snapshot) => Began::At(snapshot.tree),
                    Err(error) => Began::Unknown(error.to_string()),
                };
                // If that is not written, the check says that it knows no beginning.
                let _ = file.change(|state| drop(state.began.insert(conversation, began)));
                None
            }
            (Self::Check, Ok(_)) => {
                let answer = check::check(&repository, &file, hook, review).await;
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

/// The client's name for the conversation that a turn belongs to.
fn conversation(hook: &Value) -> String {
    hook.get("session_id").and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn forgotten(error: &RepositoryError) -> CliError {
    CliError::Usage(error.to_string())
}

fn unwritten(error: &std::io::Error) -> CliError {
    CliError::Usage(format!("the gate's state cannot be read or written: {error}"))
}
