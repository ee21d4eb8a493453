//! Folds a turn's notifications into events and, at its end, an outcome. Pure.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;

use super::{
    CommandRun, FileChange, Partial, TurnEvent, TurnFailure, TurnOutcome, TurnStatus, TurnTrace,
};
use crate::codex::{
    approval::Subject,
    protocol::{EventKind, Item, PlanStep, TurnEnd},
    usage::Usage,
};

/// What a turn has brought so far.
#[derive(Debug, Default)]
pub(crate) struct Fold {
    last_message: Option<String>,
    /// The message being written, not complete yet.
    writing: String,
    usage: Option<Usage>,
    commands: Vec<CommandRun>,
    files: Vec<FileChange>,
    trace: TurnTrace,
    sources: Vec<String>,
    warnings: Vec<String>,
    /// What has begun and not ended, by item. An approval may only name the item it is about.
    begun: HashMap<String, Begun>,
}

#[derive(Debug)]
enum Begun {
    Command(String),
    Files(Vec<String>),
    Tool,
}

impl Fold {
    /// Takes one notification in. `None` if it is no news for the turn's owner.
    pub(crate) fn event(&mut self, kind: EventKind) -> Option<TurnEvent> {
        match kind {
            EventKind::ItemStarted(item) => self.started(item),
            EventKind::ItemCompleted(item) => self.completed(item),
            EventKind::MessageDelta(delta) => {
                self.writing.push_str(&delta);
                Some(TurnEvent::Message(delta))
            }
            EventKind::Usage { last, .. } => {
                // One report per request to the model; a turn with commands makes several.
                let last = Usage::deserialize(last).ok()?;
                let usage = self.usage.get_or_insert_default();
                *usage += last;
                Some(TurnEvent::Used(*usage))
            }
            EventKind::Error { error, will_retry: true } => {
                Some(TurnEvent::Retrying(error.message))
            }
            EventKind::Warning(message) => {
                self.warn(message.clone());
                Some(TurnEvent::Warning(message))
            }
            EventKind::Plan(steps) => planned(&steps),
            EventKind::Ended(end) => Some(TurnEvent::Ended(Box::new(self.end(&end)))),
            // An error that is final comes again with the end of the turn.
            EventKind::Error { will_retry: false, .. }
            | EventKind::ThreadClosed
            | EventKind::Resolved(_) => None,
        }
    }

    /// Whether a command, a call of an MCP tool or a wait for a sub-agent has begun and not ended.
    pub(crate) fn is_running_command(&self) -> bool {
        self.begun.values().any(|begun| matches!(begun, Begun::Command(_) | Begun::Tool))
    }

    /// Completes an approval with what an earlier notification said of its item.
    pub(crate) fn complete(&self, item_id: Option<&str>, subject: &mut Subject) {
        match (subject, item_id.and_then(|id| self.begun.get(id))) {
            (Subject::Command { command, .. }, Some(Begun::Command(known))) => {
                command.get_or_insert_with(|| known.clone());
            }
            (Subject::Files { paths, .. }, Some(Begun::Files(known))) if paths.is_empty() => {
                paths.clone_from(known);
            }
            _ => {}
        }
    }

    /// What there is so far.
    pub(crate) fn so_far(&self) -> Partial {
        let writing = Some(&self.writing).filter(|text| !text.is_empty());
        Partial {
            response: writing.or(self.last_message.as_ref()).cloned().unwrap_or_default(),
            usage: self.usage,
            commands: self.commands.clone(),
            files: self.files.clone(),
            trace: self.trace.clone(),
        }
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
            trace: std::mem::take(&mut self.trace),
            sources: std::mem::take(&mut self.sources),
            warnings: std::mem::take(&mut self.warnings),
        }
    }

    fn started(&mut self, item: Item) -> Option<TurnEvent> {
        match item {
            Item::Reasoning {} => Some(TurnEvent::Thinking),
            Item::CommandExecution { id, command, .. } => {
                self.begun.insert(id, Begun::Command(command.clone()));
                Some(TurnEvent::CommandStarted(command))
            }
            Item::FileChange { id, changes, .. } => {
                let paths = changes.into_iter().map(|change| change.path).collect();
                self.begun.insert(id, Begun::Files(paths));
                None
            }
            Item::McpToolCall { id, server, tool } => {
                self.begun.insert(id, Begun::Tool);
                Some(TurnEvent::ToolCalled { server, tool })
            }
            Item::CollabAgentToolCall { id, .. } => {
                self.begun.insert(id, Begun::Tool);
                None
            }
            Item::WebSearch { query, .. } => Some(TurnEvent::Searching(query)),
            _ => None,
        }
    }

    fn completed(&mut self, item: Item) -> Option<TurnEvent> {
        match item {
            Item::AgentMessage { text } => {
                self.writing.clear();
                self.last_message = Some(text);
                None
            }
            Item::CommandExecution { id, command, exit_code, status, aggregated_output } => {
                self.begun.remove(&id);
                let exit_code = exit_code.filter(|_| status != "declined");
                let run = CommandRun { command, exit_code };
                self.commands.push(run.clone());
                self.trace.add_output(&aggregated_output);
                Some(TurnEvent::CommandFinished(run))
            }
            Item::McpToolCall { id, .. } | Item::CollabAgentToolCall { id, .. } => {
                self.begun.remove(&id);
                None
            }
            Item::FileChange { id, changes, status } => {
                self.begun.remove(&id);
                if matches!(status.as_str(), "declined" | "failed") {
                    return None;
                }
                let files: Vec<_> = changes
                    .iter()
                    .map(|change| FileChange {
                        path: change.path.clone(),
                        kind: change.kind().to_owned(),
                    })
                    .collect();
                self.files.extend(files.iter().cloned());
                for change in &changes {
                    self.trace.add_diff(&change.diff);
                }
                Some(TurnEvent::FilesChanged(files))
            }
            Item::WebSearch { action, results, .. } => {
                self.read_from(&action, &results);
                None
            }
            _ => None,
        }
    }

    /// Notes the pages a search has opened or found.
    fn read_from(&mut self, action: &Value, results: &Value) {
        let found = results.as_array().into_iter().flatten();
        let urls = [action].into_iter().chain(found).filter_map(|place| place.get("url")?.as_str());
        for url in urls.filter(|url| url.starts_with("http")) {
            if !self.sources.iter().any(|known| known == url) {
                self.sources.push(url.to_owned());
            }
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

fn planned(steps: &[PlanStep]) -> Option<TurnEvent> {
    let done = steps.iter().filter(|step| step.status == "completed").count();
    let next = steps.iter().find(|step| step.status == "inProgress");
    let step = next.or_else(|| steps.iter().find(|step| step.status == "pending"))?;
    Some(TurnEvent::Planned { done, of: steps.len(), step: step.step.clone() })
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
        for so_far in [120, 240] {
            let told = fold.event(EventKind::Usage { total: json!({}), last: last.clone() });
            let Some(TurnEvent::Used(usage)) = told else { panic!("{told:?}") };
            assert_eq!(usage.total_tokens, so_far);
        }
        let usage = outcome(&mut fold, end("completed", vec![])).usage.unwrap();
        assert_eq!((usage.input_tokens, usage.total_tokens), (200, 240));
    }

    #[test]
    fn what_has_begun_and_not_ended_is_a_sign_of_life() {
        let run = |exit_code| Item::CommandExecution {
            id: "c".into(),
            command: "make".into(),
            exit_code,
            status: String::new(),
            aggregated_output: String::new(),
        };
        let tool = || Item::McpToolCall { id: "t".into(), server: "s".into(), tool: "x".into() };
        let mut fold = Fold::default();
        assert!(!fold.is_running_command());
        fold.event(EventKind::ItemStarted(run(None)));
        fold.event(EventKind::ItemStarted(tool()));
        fold.event(EventKind::ItemCompleted(run(Some(0))));
        assert!(fold.is_running_command());
        fold.event(EventKind::ItemCompleted(tool()));
        assert!(!fold.is_running_command());
        // Changes of files take no time; a message is no command.
        fold.event(EventKind::ItemStarted(Item::AgentMessage { text: "m".into() }));
        assert!(!fold.is_running_command());
    }

    #[test]
    fn a_declined_command_has_no_exit_code() {
        let mut fold = Fold::default();
        fold.event(EventKind::ItemCompleted(Item::CommandExecution {
            id: String::new(),
            command: "rm".into(),
            exit_code: Some(-1),
            status: "declined".into(),
            aggregated_output: String::new(),
        }));
        assert_eq!(outcome(&mut fold, end("completed", vec![])).commands[0].exit_code, None);
    }
}
