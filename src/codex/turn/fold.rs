//! Folds a turn's notifications into events and, at its end, an outcome. Pure.

use serde::Deserialize;

use super::{CommandRun, FileChange, TurnEvent, TurnFailure, TurnOutcome, TurnStatus, Usage};
use crate::codex::protocol::{EventKind, Item, TurnEnd};

/// What a turn has brought so far.
#[derive(Debug, Default)]
pub(crate) struct Fold {
    last_message: Option<String>,
    /// The message being written, not complete yet.
    writing: String,
    usage: Option<Usage>,
    commands: Vec<CommandRun>,
    files: Vec<FileChange>,
    warnings: Vec<String>,
}

impl Fold {
    /// Takes one notification in; none if there is nothing to tell.
    pub(crate) fn event(&mut self, kind: EventKind) -> Option<TurnEvent> {
        match kind {
            EventKind::ItemStarted(item) => started(item),
            EventKind::ItemCompleted(item) => self.completed(item),
            EventKind::MessageDelta(delta) => {
                self.writing.push_str(&delta);
                Some(TurnEvent::Message(delta))
            }
            EventKind::Usage { last, .. } => {
                // One report per request to the model; a turn with commands makes several.
                let last = Usage::deserialize(last).ok()?;
                *self.usage.get_or_insert_default() += last;
                None
            }
            EventKind::Error { error, will_retry: true } => {
                Some(TurnEvent::Retrying(error.message))
            }
            EventKind::Warning(message) => {
                self.warn(message.clone());
                Some(TurnEvent::Warning(message))
            }
            EventKind::Ended(end) => Some(TurnEvent::Ended(Box::new(self.end(&end)))),
            // An error that is final comes again with the end of the turn.
            EventKind::Error { will_retry: false, .. } | EventKind::ThreadClosed => None,
        }
    }

    /// Notes that Codex asked for something and was refused.
    pub(crate) fn declined(&mut self, asked: String) -> TurnEvent {
        self.warn(format!(
            "Codex asked {asked}; it was declined because approvals cannot be shown to this client. \
             Use a wider `sandbox` if Codex shall do this without asking."
        ));
        TurnEvent::Declined(asked)
    }

    /// Ends the turn without a word from Codex.
    pub(crate) fn cut_off(&mut self, status: TurnStatus) -> TurnOutcome {
        let response = match std::mem::take(&mut self.writing) {
            partial if partial.is_empty() => self.last_message.take().unwrap_or_default(),
            partial => partial,
        };
        TurnOutcome {
            status,
            response,
            usage: self.usage,
            commands: std::mem::take(&mut self.commands),
            files: std::mem::take(&mut self.files),
            warnings: std::mem::take(&mut self.warnings),
        }
    }

    fn completed(&mut self, item: Item) -> Option<TurnEvent> {
        match item {
            Item::AgentMessage { text } => {
                self.writing.clear();
                self.last_message = Some(text);
                None
            }
            Item::CommandExecution { command, exit_code, status } => {
                let exit_code = exit_code.filter(|_| status != "declined");
                let run = CommandRun { command, exit_code };
                self.commands.push(run.clone());
                Some(TurnEvent::CommandFinished(run))
            }
            Item::FileChange { changes, status } if status != "declined" && status != "failed" => {
                let files: Vec<_> = changes
                    .iter()
                    .map(|change| FileChange {
                        path: change.path.clone(),
                        kind: change.kind().to_owned(),
                    })
                    .collect();
                self.files.extend(files.iter().cloned());
                Some(TurnEvent::FilesChanged(files))
            }
            _ => None,
        }
    }

    fn end(&mut self, end: &TurnEnd) -> TurnOutcome {
        let status = match end.status.as_str() {
            "completed" => TurnStatus::Completed,
            "interrupted" => TurnStatus::Interrupted,
            _ => TurnStatus::Failed(TurnFailure::new(&end.error.clone().unwrap_or_default())),
        };
        // Up to 0.140 the end carries no items; later it may carry what was not sent before.
        if self.last_message.is_none() && self.writing.is_empty() {
            let mut messages = end.items.iter().rev().map(Item::parse);
            self.last_message = messages.find_map(|item| match item {
                Item::AgentMessage { text } => Some(text),
                _ => None,
            });
        }
        self.cut_off(status)
    }

    fn warn(&mut self, message: String) {
        if !self.warnings.contains(&message) {
            self.warnings.push(message);
        }
    }
}

fn started(item: Item) -> Option<TurnEvent> {
    match item {
        Item::Reasoning {} => Some(TurnEvent::Thinking),
        Item::CommandExecution { command, .. } => Some(TurnEvent::CommandStarted(command)),
        Item::McpToolCall { server, tool } => Some(TurnEvent::ToolCalled { server, tool }),
        Item::WebSearch { query } => Some(TurnEvent::Searching(query)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn end(status: &str, items: Vec<serde_json::Value>) -> EventKind {
        EventKind::Ended(TurnEnd { id: "1".into(), status: status.into(), error: None, items })
    }

    fn outcome(fold: &mut Fold, kind: EventKind) -> TurnOutcome {
        match fold.event(kind) {
            Some(TurnEvent::Ended(outcome)) => *outcome,
            other => panic!("not an end: {other:?}"),
        }
    }

    fn message(text: &str) -> EventKind {
        EventKind::ItemCompleted(Item::AgentMessage { text: text.into() })
    }

    #[test]
    fn the_last_message_is_the_answer() {
        let mut fold = Fold::default();
        for kind in [message("first I look"), EventKind::MessageDelta("do".into()), message("done")]
        {
            fold.event(kind);
        }
        let outcome = outcome(&mut fold, end("completed", vec![]));
        assert_eq!((outcome.response.as_str(), outcome.status), ("done", TurnStatus::Completed));
    }

    #[test]
    fn an_interrupted_turn_keeps_what_was_written() {
        let mut fold = Fold::default();
        fold.event(message("first I look"));
        fold.event(EventKind::MessageDelta("half ".into()));
        fold.event(EventKind::MessageDelta("an".into()));
        let outcome = outcome(&mut fold, end("interrupted", vec![]));
        assert_eq!(
            (outcome.response.as_str(), outcome.status),
            ("half an", TurnStatus::Interrupted)
        );
    }

    #[test]
    fn an_answer_only_in_the_end_is_found() {
        let items = vec![json!({"type": "agentMessage", "text": "here"})];
        assert_eq!(outcome(&mut Fold::default(), end("completed", items)).response, "here");
    }

    #[test]
    fn usage_adds_up_over_the_requests_of_a_turn() {
        let mut fold = Fold::default();
        let last = json!({"inputTokens": 100, "outputTokens": 20, "totalTokens": 120, "new": 1});
        for _ in 0..2 {
            fold.event(EventKind::Usage { total: json!({}), last: last.clone() });
        }
        let usage = outcome(&mut fold, end("completed", vec![])).usage.unwrap();
        assert_eq!((usage.input_tokens, usage.total_tokens), (200, 240));
    }

    #[test]
    fn a_declined_command_has_no_exit_code() {
        let mut fold = Fold::default();
        fold.event(EventKind::ItemCompleted(Item::CommandExecution {
            command: "rm".into(),
            exit_code: Some(-1),
            status: "declined".into(),
        }));
        assert_eq!(outcome(&mut fold, end("completed", vec![])).commands[0].exit_code, None);
    }
}
