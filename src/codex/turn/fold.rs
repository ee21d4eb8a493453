//! Folds a turn's notifications into changes of its items and, at its end, an outcome. Pure.

use std::collections::{HashMap, VecDeque};

use serde::Deserialize;
use serde_json::Value;

use super::{
    FileChange, ItemKey, ItemState, PlannedStep, TurnEvent, TurnFailure, TurnItem, TurnOutcome,
    TurnStatus,
};
use crate::codex::{
    approval::Subject,
    protocol::{Change, EventKind, Item, TurnEnd},
    usage::Usage,
};

/// Turns what Codex reports of a turn into changes of its items.
#[derive(Debug, Default)]
pub(crate) struct Fold {
    events: VecDeque<TurnEvent>,
    last: u32,
    /// The message being written.
    writing: Option<ItemKey>,
    /// Whether there was any message.
    has_spoken: bool,
    plan: Option<ItemKey>,
    /// The id that we gave to what we asked, until the model is told the first thing.
    asked: Option<String>,
    usage: Option<Usage>,
    /// What has begun and not ended, by Codex's id of it. An approval may only name the item it is about.
    begun: HashMap<String, Begun>,
}

#[derive(Debug)]
struct Begun {
    key: ItemKey,
    what: What,
}

#[derive(Debug)]
enum What {
    Command(String),
    Files(Vec<String>),
    Other { takes_time: bool },
}

impl Fold {
    /// For a turn that was asked for with a message of this id.
    pub(crate) fn of(asked: Option<String>) -> Self {
        Self { asked, ..Self::default() }
    }

    /// Takes one notification in.
    pub(crate) fn take(&mut self, kind: EventKind) {
        match kind {
            EventKind::ItemStarted(Item::Reasoning {}) => self.tell(TurnEvent::Thinking),
            EventKind::ItemStarted(item) => self.started(item),
            EventKind::ItemCompleted(item) => self.completed(item),
            EventKind::MessageDelta(delta) => self.write(delta),
            EventKind::Usage { last, .. } => {
                // One report per request to the model: a turn makes several, and so do its sub-agents.
                let Ok(last) = Usage::deserialize(last) else { return };
                let usage = self.usage.get_or_insert_default();
                *usage += last;
                let usage = *usage;
                self.tell(TurnEvent::Used(usage));
            }
            EventKind::Error { error, will_retry: true } => {
                self.add(TurnItem::Retry { reason: error.message, times: 1 });
            }
            EventKind::Warning(message) => self.add(TurnItem::Warning { message }),
            EventKind::Plan(steps) => {
                let steps = steps.into_iter();
                let steps =
                    steps.map(|it| PlannedStep { step: it.step, status: it.status }).collect();
                let key = self.plan.unwrap_or_else(|| self.key());
                self.plan = Some(key);
                self.tell(TurnEvent::Item(key, TurnItem::Plan { steps }));
            }
            EventKind::Ended(end) => self.end(&end),
            // An error that is final comes again with the end of the turn.
            EventKind::Error { will_retry: false, .. }
            | EventKind::ThreadClosed
            | EventKind::Started
            | EventKind::QueueChanged
            | EventKind::Resolved(_) => {}
        }
    }

    /// The next event that came of it.
    pub(crate) fn next(&mut self) -> Option<TurnEvent> {
        self.events.pop_front()
    }

    /// Whether a command, a call of an MCP tool or a wait for a sub-agent has begun and not ended.
    pub(crate) fn is_running_command(&self) -> bool {
        let takes_time = |begun: &Begun| {
            matches!(begun.what, What::Command(_) | What::Other { takes_time: true })
        };
        self.begun.values().any(takes_time)
    }

    /// Completes an approval with what an earlier notification said of its item.
    pub(crate) fn complete(&self, item_id: Option<&str>, subject: &mut Subject) {
        let begun = item_id.and_then(|id| self.begun.get(id));
        match (subject, begun.map(|begun| &begun.what)) {
            (Subject::Command { command, .. }, Some(What::Command(known))) => {
                command.get_or_insert_with(|| known.clone());
            }
            (Subject::Files { paths, .. }, Some(What::Files(known))) if paths.is_empty() => {
                paths.clone_from(known);
            }
            _ => {}
        }
    }

    /// How the turn ended without a word from Codex.
    pub(crate) fn cut_off(&self, status: TurnStatus) -> TurnOutcome {
        TurnOutcome { status, usage: self.usage }
    }

    fn tell(&mut self, event: TurnEvent) {
        self.events.push_back(event);
    }

    fn key(&mut self) -> ItemKey {
        self.last += 1;
        ItemKey(self.last)
    }

    /// Tells of an item that does not change any more.
    fn add(&mut self, item: TurnItem) {
        let key = self.key();
        self.tell(TurnEvent::Item(key, item));
    }

    fn begin(&mut self, id: String, what: What, item: TurnItem) {
        let key = self.key();
        self.begun.insert(id, Begun { key, what });
        self.tell(TurnEvent::Item(key, item));
    }

    /// Tells how an item has ended, of which Codex may not have told before.
    fn finish(&mut self, id: &str, item: TurnItem) {
        let begun = self.begun.remove(id).map(|begun| begun.key);
        let key = begun.unwrap_or_else(|| self.key());
        self.tell(TurnEvent::Item(key, item));
    }

    fn write(&mut self, delta: String) {
        self.has_spoken = true;
        if let Some(key) = self.writing {
            return self.tell(TurnEvent::Text(key, delta));
        }
        let key = self.key();
        self.writing = Some(key);
        self.tell(TurnEvent::Item(key, TurnItem::Message { text: delta }));
    }

    fn started(&mut self, item: Item) {
        let state = ItemState::Running;
        match item {
            Item::CommandExecution { id, command, .. } => {
                let what = What::Command(command.clone());
                let output = String::new();
                let item = TurnItem::Command { command, exit_code: None, state, output };
                self.begin(id, what, item);
            }
            Item::FileChange { id, changes, .. } => {
                let changes = files(&changes);
                let paths = changes.iter().map(|change| change.path.clone()).collect();
                self.begin(id, What::Files(paths), TurnItem::Files { changes, state });
            }
            Item::McpToolCall { id, server, tool, .. } => {
                let what = What::Other { takes_time: true };
                self.begin(id, what, TurnItem::Tool { server, tool, state });
            }
            Item::CollabAgentToolCall { id, tool, .. } => {
                let what = What::Other { takes_time: true };
                self.begin(id, what, TurnItem::Agent { tool, state });
            }
            Item::WebSearch { id, query, .. } => {
                let what = What::Other { takes_time: false };
                self.begin(id, what, TurnItem::Search { query, sources: Vec::new() });
            }
            _ => {}
        }
    }

    fn completed(&mut self, item: Item) {
        match item {
            Item::AgentMessage { text } => {
                self.has_spoken = true;
                let key = self.writing.take().unwrap_or_else(|| self.key());
                self.tell(TurnEvent::Item(key, TurnItem::Message { text }));
            }
            Item::CommandExecution { id, command, exit_code, status, aggregated_output } => {
                let state = match ItemState::ended(&status) {
                    // It ran: its exit code says what came of it.
                    ItemState::Failed => ItemState::Done,
                    state => state,
                };
                let exit_code = exit_code.filter(|_| state != ItemState::Declined);
                let output = aggregated_output;
                self.finish(&id, TurnItem::Command { command, exit_code, state, output });
            }
            Item::McpToolCall { id, server, tool, status } => {
                let state = ItemState::ended(&status);
                self.finish(&id, TurnItem::Tool { server, tool, state });
            }
            Item::CollabAgentToolCall { id, tool, status, .. } => {
                let state = ItemState::ended(&status);
                self.finish(&id, TurnItem::Agent { tool, state });
            }
            Item::FileChange { id, changes, status } => {
                let (changes, state) = (files(&changes), ItemState::ended(&status));
                self.finish(&id, TurnItem::Files { changes, state });
            }
            Item::WebSearch { id, query, action, results } => {
                let sources = read_from(&action, &results);
                self.finish(&id, TurnItem::Search { query, sources });
            }
            Item::ContextCompaction {} => self.add(TurnItem::Compaction {}),
            Item::UserMessage { client_id: Some(id), content } => {
                if let Some(asked) = self.asked.take().filter(|asked| *asked != id) {
                    tracing::warn!(asked, "Codex has put a prompt into a turn of its own");
                    self.add(TurnItem::Warning { message: merged(&Item::said(&content)) });
                }
            }
            _ => {}
        }
    }

    fn end(&mut self, end: &TurnEnd) {
        let status = match end.status.as_str() {
            "completed" => TurnStatus::Completed,
            "interrupted" => TurnStatus::Interrupted,
            _ => TurnStatus::Failed(TurnFailure::new(&end.error.clone().unwrap_or_default())),
        };
        // Up to 0.140 the end carries no items; later it may carry what was not sent before.
        if !self.has_spoken {
            let mut messages = end.items.iter().rev().map(Item::parse);
            if let Some(message) = messages.find(|item| matches!(item, Item::AgentMessage { .. })) {
                self.completed(message);
            }
        }
        let outcome = self.cut_off(status);
        self.tell(TurnEvent::Ended(outcome));
    }
}

/// What is said of a turn that Codex had begun just before we asked for one, and into which it has put what we asked.
fn merged(said: &str) -> String {
    const SHOWN: usize = 200;
    let shown: String = said.chars().take(SHOWN).collect();
    let more = if shown.len() < said.len() { "\u{2026}" } else { "" };
    format!(
        "Codex began a turn of its own queue at the same moment and put this prompt into it, after: \u{201c}{shown}{more}\u{201d}."
    )
}

fn files(changes: &[Change]) -> Vec<FileChange> {
    let files = changes.iter().map(|change| FileChange {
        path: change.path.clone(),
        kind: change.kind().to_owned(),
        diff: change.diff.clone(),
    });
    files.collect()
}

/// The pages a search has opened or found.
fn read_from(action: &Value, results: &Value) -> Vec<String> {
    let mut sources: Vec<String> = Vec::new();
    let found = results.as_array().into_iter().flatten();
    let urls = [action].into_iter().chain(found).filter_map(|place| place.get("url")?.as_str());
    for url in urls.filter(|url| url.starts_with("http")) {
        if !sources.iter().any(|known| known == url) {
            sources.push(url.to_owned());
        }
    }
    sources
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn end(status: &str, items: Vec<serde_json::Value>) -> EventKind {
        EventKind::Ended(TurnEnd { id: "1".into(), status: status.into(), error: None, items })
    }

    fn events(fold: &mut Fold, kinds: impl IntoIterator<Item = EventKind>) -> Vec<TurnEvent> {
        kinds.into_iter().for_each(|kind| fold.take(kind));
        std::iter::from_fn(|| fold.next()).collect()
    }

    fn message(text: &str) -> EventKind {
        EventKind::ItemCompleted(Item::AgentMessage { text: text.into() })
    }

    fn said(key: u32, text: &str) -> TurnEvent {
        TurnEvent::Item(ItemKey(key), TurnItem::Message { text: text.into() })
    }

    fn ended(status: TurnStatus) -> TurnEvent {
        TurnEvent::Ended(TurnOutcome { status, usage: None })
    }

    #[test]
    fn a_prompt_that_codex_puts_into_a_turn_of_its_own_is_said() {
        let told = |id: &str, text: &str| {
            let content = vec![json!({"type": "text", "text": text})];
            EventKind::ItemCompleted(Item::UserMessage { client_id: Some(id.into()), content })
        };
        let mut fold = Fold::of(Some("ours".into()));
        assert_eq!(events(&mut fold, [told("ours", "mine"), told("other", "steered")]), []);
        let mut fold = Fold::of(Some("ours".into()));
        let said = events(&mut fold, [told("queued", "theirs"), told("ours", "mine")]);
        let [TurnEvent::Item(_, TurnItem::Warning { message })] = said.as_slice() else {
            panic!("{said:?}")
        };
        assert!(message.contains("theirs") && !message.contains("mine"), "{message}");
        // Nothing was asked of a turn that Codex has begun by itself.
        assert_eq!(events(&mut Fold::default(), [told("queued", "theirs")]), []);
    }

    #[test]
    fn every_message_has_a_place_of_its_own() {
        let mut fold = Fold::default();
        let delta = |text: &str| EventKind::MessageDelta(text.into());
        let kinds = [message("first I look"), delta("do"), delta("ne"), message("done")];
        assert_eq!(
            events(&mut fold, kinds.into_iter().chain([end("completed", vec![])])),
            [
                said(1, "first I look"),
                said(2, "do"),
                TurnEvent::Text(ItemKey(2), "ne".into()),
                said(2, "done"),
                ended(TurnStatus::Completed),
            ]
        );
    }

    #[test]
    fn an_answer_only_in_the_end_is_found() {
        let items = vec![json!({"type": "agentMessage", "text": "here"})];
        let events = events(&mut Fold::default(), [end("completed", items)]);
        assert_eq!(events, [said(1, "here"), ended(TurnStatus::Completed)]);
    }

    #[test]
    fn usage_adds_up_over_the_requests_of_a_turn() {
        let mut fold = Fold::default();
        let last = json!({"inputTokens": 100, "outputTokens": 20, "totalTokens": 120, "new": 1});
        for so_far in [120, 240] {
            fold.take(EventKind::Usage { total: json!(null), last: last.clone() });
            let told = fold.next();
            let Some(TurnEvent::Used(usage)) = told else { panic!("{told:?}") };
            assert_eq!(usage.total_tokens, so_far);
        }
        let usage = fold.cut_off(TurnStatus::Completed).usage.unwrap();
        assert_eq!((usage.input_tokens, usage.total_tokens), (200, 240));
    }

    fn run(exit_code: Option<i64>, status: &str) -> Item {
        Item::CommandExecution {
            id: "c".into(),
            command: "make".into(),
            exit_code,
            status: status.into(),
            aggregated_output: String::new(),
        }
    }

    #[test]
    fn what_has_begun_and_not_ended_is_a_sign_of_life() {
        let tool = || Item::McpToolCall {
            id: "t".into(),
            server: "s".into(),
            tool: "x".into(),
            status: String::new(),
        };
        let mut fold = Fold::default();
        assert!(!fold.is_running_command());
        fold.take(EventKind::ItemStarted(run(None, "")));
        fold.take(EventKind::ItemStarted(tool()));
        fold.take(EventKind::ItemCompleted(run(Some(0), "")));
        assert!(fold.is_running_command());
        fold.take(EventKind::ItemCompleted(tool()));
        assert!(!fold.is_running_command());
        // Changes of files take no time; a message is no command.
        fold.take(EventKind::ItemStarted(Item::AgentMessage { text: "m".into() }));
        assert!(!fold.is_running_command());
        // What ended has the place in which it began.
        let keys = std::iter::from_fn(|| fold.next()).map(|event| match event {
            TurnEvent::Item(key, item) => (key.0, item.state()),
            other => panic!("{other:?}"),
        });
        let (running, done) = (Some(ItemState::Running), Some(ItemState::Done));
        assert_eq!(keys.collect::<Vec<_>>(), [(1, running), (2, running), (1, done), (2, done)]);
    }

    #[test]
    fn a_declined_command_has_no_exit_code() {
        for (status, exit_code, state) in
            [("declined", None, ItemState::Declined), ("failed", Some(-1), ItemState::Done)]
        {
            let events =
                events(&mut Fold::default(), [EventKind::ItemCompleted(run(Some(-1), status))]);
            let [TurnEvent::Item(_, TurnItem::Command { exit_code: code, state: is, .. })] =
                events.as_slice()
            else {
                panic!("{events:?}")
            };
            assert_eq!((*code, *is), (exit_code, state));
        }
    }
}
