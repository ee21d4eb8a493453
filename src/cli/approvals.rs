//! `approvals`: what Codex asks in all sessions of the store, and answering it, whichever server runs the turn.

use std::io::{self, IsTerminal, Write};

use serde_json::{Map, Value, json};

use super::{
    ask,
    error::CliError,
    print,
    run::{Exit, written},
    screen::{self, stderr, stdout},
};
use crate::{
    mcp::{approval_answer, approval_form, explain},
    session::{
        Answer, AnswerRecord, ApprovalId, ApprovalRecord, Decision, SessionError, Sessions, Subject,
    },
};

/// Who answers here, in the record of an approval.
const TERMINAL: &str = "terminal";

/// What to do with approvals.
#[derive(Debug, Clone, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct ApprovalsArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(subcommand)]
    command: Option<ApprovalsCommand>,
}

/// What to do with one approval.
#[derive(Debug, Clone, clap::Subcommand)]
enum ApprovalsCommand {
    /// List what Codex waits for
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Answer one
    Answer {
        /// Its id, as the list has it
        id: String,
        /// accept, acceptForSession, decline or cancel
        #[arg(value_parser = decision)]
        decision: Decision,
        /// What to fill in, for those that ask for text
        #[arg(long, value_name = "JSON", value_parser = object)]
        content: Option<Map<String, Value>>,
    },
}

impl ApprovalsArgs {
    /// Lists what is open, or goes through it one by one where somebody is at the terminal.
    ///
    /// # Errors
    /// [`CliError::Usage`], [`CliError::Output`].
    pub async fn run(self, sessions: &Sessions) -> Result<Exit, CliError> {
        let open = match sessions.approvals().await {
            Ok(open) => open,
            Err(error) => return complain(&error),
        };
        match self.command {
            Some(ApprovalsCommand::Answer { id, decision, content }) => {
                answer(sessions, &open, &ApprovalId(id), decision, content).await
            }
            Some(ApprovalsCommand::List { json }) => list(&open, json),
            None if !self.json && io::stdin().is_terminal() && io::stderr().is_terminal() => {
                go_through(sessions, open).await
            }
            None => list(&open, self.json),
        }
    }
}

fn list(open: &[ApprovalRecord], json: bool) -> Result<Exit, CliError> {
    let mut out = stdout();
    let printed = if json {
        let open: Vec<Value> = open.iter().map(as_json).collect();
        print::json(&json!({"approvals": open}), out)
    } else if open.is_empty() {
        writeln!(out, "Codex asks nothing")
    } else {
        let rows: Vec<Vec<String>> = open
            .iter()
            .map(|open| row(open).iter().map(|cell| print::one_line(cell)).collect())
            .collect();
        let titles = ["APPROVAL", "SESSION", "TURN", "CODEX ASKS", "SINCE", "DEADLINE"];
        print::table(&titles, &rows, &mut out)
    };
    written(printed, "the approvals")?;
    Ok(Exit::Done)
}

async fn answer(
    sessions: &Sessions,
    open: &[ApprovalRecord],
    id: &ApprovalId,
    decision: Decision,
    content: Option<Map<String, Value>>,
) -> Result<Exit, CliError> {
    let asked = open.iter().find(|open| open.approval.id == *id);
    let is_form = asked.is_some_and(|asked| {
        matches!(asked.approval.subject, Subject::Input(_) | Subject::Form { .. })
    });
    if is_form && decision == Decision::Accept && content.is_none() {
        let reason = "this one asks for text: pass it with --content, or answer it with `approvals` in a terminal";
        return Err(CliError::Usage(reason.to_owned()));
    }
    let answer = Answer { decision, content: content.unwrap_or_default() };
    let remark = matches!(decision, Decision::Decline | Decision::Cancel);
    let remark = remark.then(|| "it was declined.".to_owned());
    give(sessions, id, answer, remark).await
}

async fn give(
    sessions: &Sessions,
    id: &ApprovalId,
    answer: Answer,
    remark: Option<String>,
) -> Result<Exit, CliError> {
    let said = answer.decision.as_str();
    let given = AnswerRecord { answer, by: TERMINAL.to_owned(), remark };
    match sessions.answer(id, given).await {
        Ok(()) => {
            written(writeln!(stdout(), "answered {}: {said}", id.0), "to stdout")?;
            Ok(Exit::Done)
        }
        Err(error) => complain(&error),
    }
}

/// Asks about each open approval; one that is not answered stays open.
async fn go_through(sessions: &Sessions, open: Vec<ApprovalRecord>) -> Result<Exit, CliError> {
    if open.is_empty() {
        written(writeln!(stdout(), "Codex asks nothing"), "to stdout")?;
    }
    let mut exit = Exit::Done;
    for asked in open {
        let ApprovalRecord { session, turn, approval, .. } = asked;
        let form = match approval_form(&approval, session.as_str()) {
            Ok(form) => form,
            Err(reason) => {
                let line = format!("{session} turn {turn}: it cannot be answered here: {reason}");
                written(writeln!(stderr(), "{line}"), "to stderr")?;
                continue;
            }
        };
        let filled = tokio::task::spawn_blocking(move || {
            ask::ask(&form, io::stdin().lock(), screen::stderr())
        });
        let filled = filled.await.unwrap_or_default();
        if filled.get("action").and_then(Value::as_str) != Some("accept") {
            written(writeln!(stderr(), "It stays open."), "to stderr")?;
            continue;
        }
        let (answer, remark) = approval_answer(&approval, &filled);
        if give(sessions, &approval.id, answer, remark).await? != Exit::Done {
            exit = Exit::Failed;
        }
    }
    Ok(exit)
}

fn complain(error: &SessionError) -> Result<Exit, CliError> {
    let error = explain(error);
    let line = format!("codex-mcp-server: {}: {} {}", error.code, error.message, error.next);
    written(writeln!(stderr(), "{line}"), "to stderr")?;
    Ok(Exit::Failed)
}

fn row(open: &ApprovalRecord) -> Vec<String> {
    let agent = open.approval.agent.as_ref().map(|agent| format!("[{agent}] "));
    vec![
        open.approval.id.0.clone(),
        open.session.to_string(),
        open.turn.to_string(),
        agent.unwrap_or_default() + &open.approval.subject.in_short(),
        print::age(&open.asked_at.to_string(), jiff::Timestamp::now()),
        // To the second.
        jiff::Timestamp::from_second(open.deadline.as_second())
            .unwrap_or(open.deadline)
            .to_string(),
    ]
}

/// An approval for programs.
fn as_json(open: &ApprovalRecord) -> Value {
    let ApprovalRecord { session, turn, approval, asked_at, deadline, .. } = open;
    let choices: Vec<_> = approval.choices.iter().map(|choice| choice.as_str()).collect();
    let mut shown = json!({
        "id": approval.id.0, "sessionId": session, "turn": turn, "asks": approval.subject.in_short(),
        "choices": choices, "since": asked_at, "deadline": deadline,
    });
    let (kind, more) = match &approval.subject {
        Subject::Command { command, cwd, reason } => {
            ("command", json!({"command": command, "cwd": cwd, "reason": reason}))
        }
        Subject::Files { paths, root, reason } => {
            ("files", json!({"paths": paths, "root": root, "reason": reason}))
        }
        Subject::Permissions { wanted, reason } => {
            ("permissions", json!({"wanted": wanted, "reason": reason}))
        }
        Subject::Input(fields) => ("input", json!({"fields": fields})),
        Subject::Form { server, message, schema } => {
            ("form", json!({"server": server, "message": message, "schema": schema}))
        }
        Subject::Link { server, message, url, .. } => {
            ("link", json!({"server": server, "message": message, "url": url}))
        }
    };
    if let (Value::Object(shown), Value::Object(more)) = (&mut shown, more) {
        shown.insert("kind".to_owned(), kind.into());
        shown.extend(approval.agent.clone().map(|agent| ("agent".to_owned(), agent.into())));
        shown.extend(more.into_iter().filter(|(_, value)| !value.is_null()));
    }
    shown
}

fn decision(word: &str) -> Result<Decision, String> {
    let unknown = || "it is accept, acceptForSession, decline or cancel".to_owned();
    Decision::from_word(word).ok_or_else(unknown)
}

fn object(text: &str) -> Result<Map<String, Value>, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    value.as_object().cloned().ok_or_else(|| "it is not a JSON object".to_owned())
}
