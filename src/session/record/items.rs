//! The items of a recorded turn, and what is asked of them. The only place where they are read as something else.

use serde::{Deserialize, Serialize};
use serde_json::Map;

use super::{SessionStatus, TurnDetails, TurnRecord};
use crate::{
    codex::{ChangedFile, CommandRun, FileChange, ItemState, TurnItem},
    session::{Source, sources},
};

/// An item as it is recorded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecordedItem {
    /// Its place in the turn, from 0.
    pub place: u32,
    /// The number of its last change. Each change of a turn has a higher one than all before.
    pub change: u64,
    #[serde(flatten)]
    pub item: TurnItem,
}

impl TurnRecord {
    /// The number of the last change that it has.
    pub fn last_change(&self) -> u64 {
        self.items.iter().map(|recorded| recorded.change).max().unwrap_or_default()
    }

    /// Commands, in order: those that have ended, and once the turn is over also those that did not come to their end.
    pub fn commands(&self) -> Vec<CommandRun> {
        let is_over = self.status != SessionStatus::Running;
        let commands = self.each().filter_map(|item| match item {
            TurnItem::Command { command, exit_code, state, .. }
                if is_over || *state != ItemState::Running =>
            {
                Some(CommandRun { command: command.clone(), exit_code: *exit_code })
            }
            _ => None,
        });
        commands.collect()
    }

    /// Files that were changed, in order, each with its diff.
    pub fn changes(&self) -> impl Iterator<Item = &FileChange> {
        self.each().flat_map(|item| match item {
            TurnItem::Files { changes, state: ItemState::Done } => changes.as_slice(),
            _ => &[],
        })
    }

    /// Files that were changed, in order, without their diffs.
    pub fn files_changed(&self) -> Vec<ChangedFile> {
        let bare = |FileChange { path, kind, .. }: &FileChange| ChangedFile {
            path: path.clone(),
            kind: kind.clone(),
        };
        self.changes().map(bare).collect()
    }

    /// What results show of it besides: with what its items say, and without what is the store's and the caller's own.
    pub fn shown(&self) -> TurnDetails {
        TurnDetails {
            sources: self.sources(),
            failure: None,
            stopped: None,
            ephemeral: false,
            call: None,
            uncollected: false,
            task_cancelled: false,
            beside: Map::new(),
            warnings: Vec::new(),
            ..self.details.clone()
        }
    }

    /// What the caller should know besides: from us, then from Codex.
    pub fn warnings(&self) -> Vec<String> {
        let codexs = self.each().filter_map(|item| match item {
            TurnItem::Warning { message } => Some(message.clone()),
            TurnItem::Cut { items } => {
                Some(format!("The turn did more than is recorded: {items} things are left out."))
            }
            _ => None,
        });
        self.details.warnings.iter().cloned().chain(codexs).collect()
    }

    /// Pages that were read on the web, or that the answer links to.
    pub fn sources(&self) -> Vec<Source> {
        let mut all: Vec<Source> = Vec::new();
        for item in self.each() {
            let TurnItem::Search { sources, .. } = item else { continue };
            let new = sources.iter().filter(|url| all.iter().all(|known| known.url != **url));
            let new: Vec<_> = new.cloned().map(Source::untitled).collect();
            all.extend(new);
        }
        sources::merge(&mut all, self.details.sources.clone());
        all
    }

    /// All that Codex was told: the prompt, and what it was told while it worked.
    pub fn told(&self) -> String {
        let steers = self.each().filter_map(|item| match item {
            TurnItem::Steer { prompt } => Some(prompt.as_str()),
            _ => None,
        });
        [self.prompt.as_str()].into_iter().chain(steers).collect::<Vec<_>>().join("\n\n")
    }

    fn each(&self) -> impl Iterator<Item = &TurnItem> {
        self.items.iter().map(|recorded| &recorded.item)
    }
}
