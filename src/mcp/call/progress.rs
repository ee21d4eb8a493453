//! Reports progress to a caller: short lines, at most a few per second, at least one every ten seconds.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    future::pending,
    time::Duration,
};

use rmcp::{
    RoleServer,
    model::{ProgressNotificationParam, ProgressToken},
    service::Peer,
};
use tokio::time::{Instant, sleep_until};

use crate::{
    mcp::cut::cut,
    session::{FileChange, ItemState, QueuePosition, TurnItem, Update, visible_line},
};

/// The shortest time between two messages.
const PAUSE: Duration = Duration::from_millis(250);

/// The longest time between two messages.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// The longest message, in characters.
const LENGTH: usize = 190;

/// How many lines may wait to be sent. Older ones are dropped.
const LINES: usize = 8;

const SEPARATOR: &str = " · ";

/// Reports the progress of one call.
#[derive(Debug)]
pub(in crate::mcp) struct Progress {
    to: Option<(Peer<RoleServer>, ProgressToken)>,
    count: u32,
    lines: Lines,
    last_told: Option<Instant>,
    started: Instant,
}

/// Lines that were not sent yet.
#[derive(Debug, Default)]
struct Lines {
    waiting: VecDeque<String>,
    /// The places of the items that are known to have begun.
    begun: HashSet<usize>,
    /// Characters of each message so far, by its place.
    written: HashMap<usize, usize>,
    /// The newest line, for the heartbeat.
    newest: String,
}

impl Progress {
    pub(super) fn new(peer: Peer<RoleServer>, token: Option<ProgressToken>) -> Self {
        Self {
            to: token.map(|token| (peer, token)),
            count: 0,
            lines: Lines::default(),
            last_told: None,
            started: Instant::now(),
        }
    }

    /// Adds a line for an update.
    pub(super) fn note(&mut self, update: &Update) {
        if self.to.is_some() {
            self.lines.note(update);
        }
    }

    /// Waits until it is time to send something. Never returns if the caller wants no progress.
    pub(super) async fn due(&self) {
        if self.to.is_none() {
            return pending().await;
        }
        let pause = if self.lines.waiting.is_empty() { HEARTBEAT } else { PAUSE };
        match self.last_told {
            Some(told) => sleep_until(told + pause).await,
            None if self.lines.waiting.is_empty() => sleep_until(self.started + HEARTBEAT).await,
            None => {}
        }
    }

    /// Sends all lines that wait.
    pub(super) async fn finish(&mut self) {
        while self.to.is_some() && !self.lines.waiting.is_empty() {
            self.tell().await;
        }
    }

    /// Sends the next message.
    pub(super) async fn tell(&mut self) {
        let Some((peer, token)) = &self.to else { return };
        self.count += 1;
        self.last_told = Some(Instant::now());
        let message = self.lines.take(self.started.elapsed());
        let params = ProgressNotificationParam::new(token.clone(), f64::from(self.count));
        // A client that is gone is noticed elsewhere.
        let _ = peer.notify_progress(params.with_message(message)).await;
    }
}

impl Lines {
    fn note(&mut self, update: &Update) {
        // One that has ended before it was seen has begun all the same.
        if let Update::Item(place, item) = update
            && let Some(state) = item.state()
            && self.begun.insert(*place)
            && state != ItemState::Running
            && let Some(line) = item_line(item, true)
        {
            self.push(line);
        }
        let Some(line) = self.line(update) else { return };
        self.push(line);
    }

    fn push(&mut self, line: String) {
        self.newest.clone_from(&line);
        if line.starts_with(WRITING)
            && self.waiting.back().is_some_and(|last| last.starts_with(WRITING))
        {
            self.waiting.pop_back();
        }
        if self.waiting.len() == LINES {
            self.waiting.pop_front();
        }
        self.waiting.push_back(line);
    }

    /// The next message: as many waiting lines as fit, oldest first. Without any, it says that the turn goes on.
    fn take(&mut self, since_start: Duration) -> String {
        let mut message = String::new();
        while let Some(line) = self.waiting.pop_front() {
            let longer = match message.as_str() {
                "" => line,
                older => {
                    let longer = format!("{older}{SEPARATOR}{line}");
                    if longer.chars().count() > LENGTH {
                        self.waiting.push_front(line);
                        break;
                    }
                    longer
                }
            };
            message = longer;
        }
        if message.is_empty() {
            let seconds = since_start.as_secs();
            message = match self.newest.as_str() {
                "" => format!("still at it ({seconds} s)"),
                newest => format!("still {} ({seconds} s)", cut(newest, LENGTH - 30).0),
            };
        }
        match cut(&message, LENGTH) {
            (short, true) => format!("{short}…"),
            (whole, false) => whole.to_owned(),
        }
    }

    fn line(&mut self, update: &Update) -> Option<String> {
        Some(one_line(&match update {
            Update::Queued(QueuePosition { not_before: Some(until), .. }) => {
                format!("waiting for the usage limit, until {until}")
            }
            Update::Queued(QueuePosition { ahead: 1, .. }) => "queued, next in line".to_owned(),
            Update::Queued(position) => format!("queued, {} ahead", position.ahead),
            Update::Begun(_) => "asking the model".to_owned(),
            Update::ApprovalAsked(asked) => {
                let asked = asked.approval.subject.in_short();
                format!("waiting for your decision: Codex asks {asked}")
            }
            Update::Thinking => "thinking".to_owned(),
            Update::Used(usage) => format!("{} tokens so far", usage.total_tokens),
            Update::Text { place, text, .. } => self.writing(*place, text, true),
            Update::Item(place, TurnItem::Message { text }) => self.writing(*place, text, false),
            Update::Item(_, item) => {
                return item_line(item, item.state() == Some(ItemState::Running));
            }
            Update::ApprovalSettled(_)
            | Update::Repeated
            | Update::Joined(_)
            | Update::Ended(_) => return None,
        }))
    }

    fn writing(&mut self, place: usize, text: &str, more: bool) -> String {
        let count = self.written.entry(place).or_default();
        *count = if more { *count } else { 0 } + text.chars().count();
        format!("{WRITING} ({} characters)", self.written.values().sum::<usize>())
    }
}

/// What an item says of the moment in which it begins or changes.
fn item_line(item: &TurnItem, is_running: bool) -> Option<String> {
    Some(one_line(&match item {
        TurnItem::Command { command, .. } if is_running => format!("running `{}`", short(command)),
        TurnItem::Command { command, exit_code: Some(code), .. } => {
            format!("`{}` exited with {code}", short(command))
        }
        TurnItem::Command { command, .. } => {
            format!("`{}` did not run to its end", short(command))
        }
        TurnItem::Files { changes, state: ItemState::Done } if !is_running => changed(changes),
        TurnItem::Tool { server, tool, .. } if is_running => format!("calling {tool} of {server}"),
        TurnItem::Search { sources, .. } if !sources.is_empty() => return None,
        TurnItem::Search { query, .. } if query.is_empty() => "searching the web".to_owned(),
        TurnItem::Search { query, .. } => format!("searching the web for {query}"),
        TurnItem::Plan { steps } => {
            let done = steps.iter().filter(|step| step.status == "completed").count();
            let next = steps.iter().find(|step| step.status == "inProgress");
            let next = next.or_else(|| steps.iter().find(|step| step.status == "pending"))?;
            format!("step {} of {}: {}", done + 1, steps.len(), next.step)
        }
        TurnItem::Retry { reason, .. } => format!("trying again: {reason}"),
        TurnItem::Warning { message } => format!("warning: {message}"),
        TurnItem::Compaction {} => "summing up the conversation to make room".to_owned(),
        _ => return None,
    }))
}

const WRITING: &str = "writing the answer";

/// A command without the shell that Codex wraps it in.
fn short(command: &str) -> &str {
    let inner = command.split_once(" -lc ").map_or(command, |(_, inner)| inner);
    let quoted = inner.strip_prefix('\'').and_then(|inner| inner.strip_suffix('\''));
    cut(quoted.unwrap_or(inner), LENGTH / 2).0
}

fn changed(files: &[FileChange]) -> String {
    match files {
        [one] => format!("changed {}", one.path),
        [one, other] => format!("changed {} and {}", one.path, other.path),
        many => format!("changed {} files", many.len()),
    }
}

fn one_line(text: &str) -> String {
    visible_line(&text.split_whitespace().collect::<Vec<_>>().join(" ")).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    fn command(text: &str, state: ItemState, exit_code: Option<i64>) -> Update {
        let (command, output) = (text.to_owned(), String::new());
        Update::Item(0, TurnItem::Command { command, exit_code, state, output })
    }

    fn search(query: String) -> Update {
        Update::Item(0, TurnItem::Search { query, sources: Vec::new() })
    }

    #[test]
    fn what_happened_is_told_together_in_order() {
        let mut lines = Lines::default();
        let text = "/bin/bash -lc 'cargo test'";
        lines.note(&Update::Begun(1));
        lines.note(&command(text, ItemState::Running, None));
        lines.note(&command(text, ItemState::Done, Some(0)));
        lines.note(&Update::Item(1, TurnItem::Message { text: "abc".into() }));
        for from in [3, 6] {
            lines.note(&Update::Text { place: 1, from, text: "abc".into() });
        }
        let told = lines.take(Duration::ZERO);
        assert_eq!(
            told,
            "asking the model · running `cargo test` · `cargo test` exited with 0 · \
             writing the answer (9 characters)"
        );
        let again = lines.take(Duration::from_secs(20));
        assert_eq!(again, "still writing the answer (9 characters) (20 s)");
    }

    #[test]
    fn what_has_ended_before_it_was_seen_is_told_from_its_beginning() {
        let mut lines = Lines::default();
        lines.note(&command("ls", ItemState::Done, Some(0)));
        assert_eq!(lines.take(Duration::ZERO), "running `ls` · `ls` exited with 0");
    }

    #[test]
    fn nothing_that_is_told_can_act_on_a_terminal() {
        let mut lines = Lines::default();
        lines.note(&command(": \u{1b}[2K\rls", ItemState::Running, None));
        lines.note(&search("\u{202e}x".into()));
        let told = lines.take(Duration::ZERO);
        assert_eq!(told, "running `: \\u{1b}[2K ls` · searching the web for \\u{202e}x");
    }

    #[test]
    fn no_message_is_long_and_the_newest_is_told() {
        let mut lines = Lines::default();
        for number in 0..30 {
            lines.note(&search(format!("{number} {}", "ü".repeat(60))));
        }
        let mut told = String::new();
        while !lines.waiting.is_empty() {
            told = lines.take(Duration::ZERO);
            assert!(told.chars().count() < 200, "{told}");
        }
        assert!(told.contains("for 29 "), "{told}");
        lines.note(&Update::Item(0, TurnItem::Warning { message: "x\ny".repeat(500) }));
        let told = lines.take(Duration::ZERO);
        assert!(told.chars().count() < 200 && !told.contains('\n'), "{told}");
        assert!(lines.take(Duration::ZERO).chars().count() < 200);
    }
}
