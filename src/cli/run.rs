//! Running a tool from the command line: its text from standard input, its progress on stderr, its answer
//! on stdout.

use std::io::{self, IsTerminal, Read};

use super::{
    client::{Client, Paged, ToolOutput},
    error::CliError,
    print, screen,
    terminal::Terminal,
    tools::{Piped, ToolCall},
};
use crate::serve::Streams;
use serde_json::Value;

/// How much of standard input is read, in bytes. Codex itself takes about a million characters.
const LONGEST: u64 = 8 * 1024 * 1024;

/// How many sessions are listed at once.
const MOST: u32 = 200;

/// The list of sessions.
const SESSIONS: Paged =
    Paged { tool: "listSessions", items: "sessions", next: "nextCursor", argument: "cursor" };

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The command did its work.
    Done,
    /// The command failed.
    Failed,
    /// The command line or the configuration is wrong.
    Usage,
    /// The turn is still running.
    Running,
    /// A signal asked the program to end.
    Interrupted,
}

impl Exit {
    /// The exit code.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Running => 3,
            // What shells say of a program that ended by Ctrl-C.
            Self::Interrupted => 130,
        }
    }

    /// The exit code for an answer.
    pub(super) fn of(output: &ToolOutput) -> Self {
        match (output.is_error, output.field("code"), output.field("status")) {
            (true, Some("invalid_argument"), _) => Self::Usage,
            (true, ..) => Self::Failed,
            (false, _, Some("running")) => Self::Running,
            _ => Self::Done,
        }
    }
}

impl ToolCall {
    /// Whether its turn shall go on without this program.
    pub fn is_detached(&self) -> bool {
        self.arguments.get("detach").and_then(Value::as_bool).unwrap_or_default()
    }

    /// Reads the argument that comes from standard input, if there is one.
    ///
    /// # Errors
    /// [`CliError::Usage`] if it is missing and nothing is piped in, [`CliError::Input`].
    pub fn complete(mut self) -> Result<Self, CliError> {
        let Some(Piped { name, asked, required }) = self.from_input.take() else { return Ok(self) };
        if !asked && io::stdin().is_terminal() {
            let name = name.to_uppercase();
            let reason = format!(
                "the {name} is missing: type it, pipe it in, or `-` to type it line by line"
            );
            return Err(CliError::Usage(reason));
        }
        let mut bytes = Vec::new();
        io::stdin().lock().take(LONGEST + 1).read_to_end(&mut bytes).map_err(CliError::Input)?;
        if bytes.len() as u64 > LONGEST {
            let reason =
                "standard input is too long; put long material into a file and name the file";
            return Err(CliError::Usage(reason.to_owned()));
        }
        let text = String::from_utf8(bytes)
            .map_err(|_| CliError::Usage("standard input is not UTF-8 text".to_owned()))?;
        if text.trim().is_empty() && required {
            return Err(CliError::Usage("standard input is empty; nothing is asked".to_owned()));
        }
        self.arguments.insert(name.to_owned(), text.trim_end().into());
        Ok(self)
    }
}

/// Runs a tool on the server connected to `streams`.
///
/// # Errors
/// [`CliError::Client`], [`CliError::Output`].
pub async fn run_tool(call: ToolCall, streams: Streams) -> Result<Exit, CliError> {
    let mut terminal = Terminal::new();
    let mut client = Client::begin(streams, terminal.can_ask()).await?;
    let is_list = call.name == "listSessions";
    let is_models = call.name == "listModels";
    let is_usage = call.name == "usage";
    let ToolCall { name, mut arguments, json, is_waited_for, .. } = call;
    if is_waited_for {
        terminal
            .say("the turn is waited for here, however long it takes; --waitSeconds has no effect");
    }
    let is_page =
        ["limit", "cursor", "threadCursor"].iter().any(|key| arguments.contains_key(*key));
    let output = if is_list && !is_page {
        arguments.insert("limit".to_owned(), MOST.into());
        client.every_page(&SESSIONS, arguments, &mut terminal).await
    } else {
        client.call(&name, arguments, &mut terminal).await
    };
    terminal.finish();
    let output = output?;
    let exit = Exit::of(&output);
    let out = screen::stdout();
    let printed = match output.is_error {
        _ if json => print::json(&Value::Object(output.structured), out),
        false if is_list => print::sessions(&output.structured, out),
        false if is_models => print::models(&output.structured, out),
        false if is_usage => print::usage(&output.structured, out),
        _ => print::answer(&output, out, screen::stderr()),
    };
    written(printed, "the answer")?;
    Ok(exit)
}

/// Turns a failed write into an error. A reader that has closed its end is not one.
///
/// # Errors
/// [`CliError::Output`] with `what` could not be written.
pub fn written(result: io::Result<()>, what: &str) -> Result<(), CliError> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.map_err(|source| CliError::Output { what: what.to_owned(), source }),
    }
}

/// Prints the error of a tool that a subcommand called, and returns its exit code.
pub(super) fn complain(output: &ToolOutput) -> Result<Exit, CliError> {
    written(print::error(output, screen::stderr()), "to stderr")?;
    Ok(Exit::of(output))
}
