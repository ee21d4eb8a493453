//! `transfer`: makes a session of what was said in a conversation with Claude Code, as its transcript on disk has it.

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::{
    error::CliError,
    run::{Exit, written},
};
use crate::{
    mcp::explain,
    session::{Exchange, Imported, Origin, SessionName, Sessions},
};

/// How much of a conversation is taken, from its end, in bytes.
const MOST_BYTES: usize = 400 * 1024;

/// The most exchanges that are taken.
const MOST: usize = 200;

/// How the client begins what the user has not said.
const WRAPPERS: [&str; 4] = ["<command-", "<local-command-", "<system-reminder>", "<bash-"];

/// Make a session of what was said in Claude Code.
#[derive(Debug, Clone, clap::Args)]
pub struct TransferArgs {
    /// The conversation: its id, or the path of its transcript
    conversation: String,

    /// The name of the session [default: a new one is made up]
    #[arg(long = "as", value_name = "NAME")]
    session: Option<SessionName>,
}

/// A line of a transcript, as far as it matters here; other kinds have none of these fields.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    is_meta: bool,
    #[serde(default)]
    is_sidechain: bool,
    #[serde(default)]
    timestamp: Option<Timestamp>,
    message: Message,
}

#[derive(Debug, Deserialize)]
struct Message {
    #[serde(default)]
    content: Value,
}

impl TransferArgs {
    /// Reads the transcript and makes the session.
    ///
    /// # Errors
    /// [`CliError::Usage`] if there is no such conversation, or nothing was said in it; [`CliError::Output`].
    pub async fn run(
        self,
        sessions: &Sessions,
        claude_folder: &Path,
        directory: PathBuf,
    ) -> Result<Exit, CliError> {
        let path = find(&self.conversation, claude_folder).ok_or_else(|| {
            let place = claude_folder.join("projects");
            CliError::Usage(format!(
                "there is no conversation `{}` in {}",
                self.conversation,
                place.display()
            ))
        })?;
        let unreadable =
            |error: std::io::Error| CliError::Usage(format!("{}: {error}", path.display()));
        let file = std::fs::File::open(&path).map_err(unreadable)?;
        let (exchanges, skipped) = exchanges(BufReader::new(file));
        if exchanges.is_empty() {
            return Err(CliError::Usage(format!("nothing was said in {}", path.display())));
        }
        let count = exchanges.len();
        let origin = Origin::new(directory, None);
        let text = match sessions.import(self.session, exchanges, origin).await {
            Ok(Imported { session, unknown }) => {
                let title = session.details.title.map_or_else(String::new, |it| format!(" ({it})"));
                let known = match unknown {
                    None if skipped > 0 => {
                        format!("Codex knows these; the first {skipped} were left out")
                    }
                    None => "Codex knows all of it".to_owned(),
                    Some(reason) => format!("Codex is given the last turns of it ({reason})"),
                };
                format!(
                    "Session {}{title} has this conversation ({count} exchanges); {known}. Go on with `codex`, \
                     sessionId {}.\n",
                    session.name, session.name
                )
            }
            Err(error) => {
                let error = explain(&error);
                return Err(CliError::Usage(format!("{} {}", error.message, error.next)));
            }
        };
        written(super::screen::stdout().write_all(text.as_bytes()), "the session")?;
        Ok(Exit::Done)
    }
}

/// The transcript of a conversation: the path that was given, or the file of that id below the client's folder.
fn find(conversation: &str, claude_folder: &Path) -> Option<PathBuf> {
    let is_id = conversation.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    if !is_id {
        let path = PathBuf::from(conversation);
        return path.is_file().then_some(path);
    }
    let projects = std::fs::read_dir(claude_folder.join("projects")).ok()?;
    let name = format!("{conversation}.jsonl");
    projects.flatten().map(|project| project.path().join(&name)).find(|path| path.is_file())
}

/// What was said, oldest first, and how many exchanges of a long conversation were left out at its beginning.
fn exchanges(transcript: impl BufRead) -> (Vec<Exchange>, usize) {
    let mut exchanges: Vec<Exchange> = Vec::new();
    // Lines of other kinds, and those that are not complete, say nothing.
    for line in transcript.split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line);
        let Ok(line) = serde_json::from_str::<Line>(&line) else { continue };
        if line.is_meta || line.is_sidechain {
            continue;
        }
        let text = said(&line.message.content);
        // Results of tools, and what the client writes for its own commands.
        let is_ours = WRAPPERS.iter().any(|wrapper| text.starts_with(wrapper));
        if text.is_empty() || line.kind == "user" && is_ours {
            continue;
        }
        match (line.kind.as_str(), exchanges.last_mut()) {
            ("user", Some(last)) if last.response.is_empty() => {
                last.prompt = format!("{}\n\n{text}", last.prompt);
            }
            ("user", _) => exchanges.push(Exchange {
                prompt: text,
                response: String::new(),
                at: line.timestamp.unwrap_or_else(Timestamp::now),
            }),
            ("assistant", Some(last)) => {
                let pause = if last.response.is_empty() { "" } else { "\n\n" };
                last.response += &format!("{pause}{text}");
            }
            _ => {}
        }
    }
    let mut bytes = 0;
    let fits = |exchange: &&Exchange| {
        bytes += exchange.prompt.len() + exchange.response.len();
        bytes <= MOST_BYTES
    };
    let kept = exchanges.iter().rev().take(MOST).take_while(fits).count();
    let skipped = exchanges.len() - kept.max(1).min(exchanges.len());
    let mut last = exchanges.split_off(skipped);
    if let ([only], 0) = (last.as_mut_slice(), kept) {
        // Even one is too long: its beginning.
        for text in [&mut only.prompt, &mut only.response] {
            let mut end = text.len().min(MOST_BYTES / 2);
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            text.truncate(end);
        }
    }
    (last, skipped)
}

/// The words of a message, without calls of tools and their results.
fn said(content: &Value) -> String {
    match content {
        Value::String(text) => text.trim().to_owned(),
        Value::Array(parts) => {
            let texts = parts.iter().filter(|part| part.get("type") == Some(&"text".into()));
            let texts = texts.filter_map(|part| part.get("text")?.as_str());
            texts.collect::<Vec<_>>().join("\n").trim().to_owned()
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_is_read_and_the_rest_is_not() {
        let lines = r#"
{"type":"summary","summary":"x"}
{"type":"user","isMeta":true,"message":{"role":"user","content":"meta"}}
{"type":"user","timestamp":"2026-01-02T03:04:05Z","message":{"role":"user","content":"Why is it slow?"}}
{"type":"assistant","message":{"role":"assistant","content":[{"type":"thinking","thinking":"hm"},{"type":"text","text":"I look."},{"type":"tool_use","id":"t","name":"Bash","input":{}}]}}
{"type":"user","toolUseResult":{},"message":{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":"out"}]}}
{"type":"assistant","message":{"role":"assistant","content":[{"type":"text","text":"It sleeps."}]}}
{"type":"assistant","isSidechain":true,"message":{"role":"assistant","content":[{"type":"text","text":"agent"}]}}
{"type":"user","message":{"role":"user","content":"<command-name>/codex:transfer</command-name>"}}
{"type":"user","message":{"role":"user","content":[{"type":"text","text":"Mend it"}]}}
{"type":"user","mess"#;
        let (read, skipped) = exchanges(lines.as_bytes());
        assert_eq!(skipped, 0);
        let short: Vec<_> =
            read.iter().map(|it| (it.prompt.as_str(), it.response.as_str())).collect();
        assert_eq!(short, [("Why is it slow?", "I look.\n\nIt sleeps."), ("Mend it", "")]);
        assert_eq!(read[0].at.to_string(), "2026-01-02T03:04:05Z");
    }

    #[test]
    fn of_a_long_conversation_the_end_is_taken() {
        let line = |kind: &str, text: &str| {
            serde_json::json!({"type": kind, "message": {"content": text}}).to_string() + "\n"
        };
        let long = "x".repeat(MOST_BYTES / 3);
        let text: String = (0..5)
            .flat_map(|number| [line("user", &format!("{number}")), line("assistant", &long)])
            .collect();
        let (read, skipped) = exchanges(text.as_bytes());
        assert_eq!(read.iter().map(|it| it.prompt.as_str()).collect::<Vec<_>>(), ["3", "4"]);
        assert_eq!(skipped, 3);
        let one = line("user", "q") + &line("assistant", &"ä".repeat(MOST_BYTES));
        let (read, _) = exchanges(one.as_bytes());
        assert!(read[0].response.len() <= MOST_BYTES / 2 && !read[0].response.is_empty());
    }
}
