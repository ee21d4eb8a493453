//! The list of a turn's items, with the number of each one's last change. Pure; bounded in number and bytes.
//!
//! The last message is the turn's answer, and is kept whole. All else that is long is cut once it is complete.

use std::collections::{BTreeMap, HashMap};

use super::cut::{end_of, start_of};
use crate::{
    codex::{ItemKey, ItemState, TurnItem},
    session::record::RecordedItem,
};

/// The most items. Messages come besides.
const MOST: usize = 4_000;

/// What one text may have in bytes, and all of its kind together.
struct Bound {
    one: usize,
    all: usize,
}

/// What commands print: the end, where errors are.
const OUTPUTS: Bound = Bound { one: 4_000, all: 64_000 };

/// Diffs: the beginning.
const DIFFS: Bound = Bound { one: 16_000, all: 128_000 };

/// Messages but the last: the beginning. Also what Codex is told, warnings and the like.
const SAID: Bound = Bound { one: 64_000, all: 512_000 };

/// Why something is tried again; it is told each time.
const REASON: usize = 4_000;

/// A plan: its steps, and the bytes of each.
const STEPS: usize = 200;
const STEP: usize = 1_000;

/// The items of a turn.
#[derive(Debug, Default)]
pub(super) struct Items {
    list: Vec<Listed>,
    /// Where the items are that Codex reports.
    places: HashMap<ItemKey, usize>,
    /// The place of each item by the number of its last change.
    order: BTreeMap<u64, usize>,
    /// The last message.
    answer: Option<usize>,
    /// Where it says what is not kept.
    cut: Option<usize>,
    /// The bytes that are kept of each kind of text.
    outputs: usize,
    diffs: usize,
    said: usize,
}

#[derive(Debug)]
struct Listed {
    item: TurnItem,
    changed: u64,
    /// The number of the last change that did more than add text.
    replaced: u64,
}

/// Gives each change its number.
pub(super) type Numbers<'a> = &'a mut u64;

/// A change as a reader gets it.
#[derive(Debug, PartialEq)]
pub(super) enum Change {
    Item(TurnItem),
    /// Text after so many bytes that the reader has.
    Text(usize, String),
}

impl Items {
    /// Puts an item that Codex reports: a new one, or what a known one has become.
    pub(super) fn put(&mut self, key: ItemKey, item: TurnItem, numbers: Numbers<'_>) {
        if let Some(place) = self.places.get(&key).copied() {
            let item = self.bounded(item, Some(place));
            self.set(place, item, numbers);
        } else if let Some(place) = self.add(item, numbers) {
            self.places.insert(key, place);
        }
    }

    /// Adds to the text of an item.
    pub(super) fn write(&mut self, key: ItemKey, more: &str, numbers: Numbers<'_>) {
        let Some(place) = self.places.get(&key).copied() else { return };
        if let Some(Listed { item: TurnItem::Message { text }, .. }) = self.list.get_mut(place) {
            text.push_str(more);
            self.touch(place, false, numbers);
        }
    }

    /// Adds an item at the end. Returns its place; none if it is not kept, or was there.
    pub(super) fn add(&mut self, item: TurnItem, numbers: Numbers<'_>) -> Option<usize> {
        if let (TurnItem::Retry { reason, .. }, Some(last)) = (&item, self.list.last_mut())
            && let TurnItem::Retry { reason: known, times } = &mut last.item
        {
            *known = start_of(reason, REASON);
            *times += 1;
            let place = self.list.len() - 1;
            self.touch(place, true, numbers);
            return Some(place);
        }
        let is_message = matches!(item, TurnItem::Message { .. });
        let is_known = matches!(item, TurnItem::Warning { .. })
            && self.list.iter().any(|listed| listed.item == item);
        if is_known || (is_message && item.text().is_empty()) {
            return None;
        }
        if self.list.len() >= MOST && !is_message {
            self.leave_out(numbers);
            return None;
        }
        let item = self.bounded(item, None);
        let place = self.list.len();
        self.list.push(Listed { item, changed: 0, replaced: 0 });
        self.touch(place, true, numbers);
        if is_message {
            self.answered(place, numbers);
        }
        Some(place)
    }

    /// Puts an item in the place of another, or behind the last.
    pub(super) fn set(&mut self, place: usize, item: TurnItem, numbers: Numbers<'_>) {
        let Some(listed) = self.list.get_mut(place) else { return };
        if listed.item == item {
            return;
        }
        let grows = match (&listed.item, &item) {
            (TurnItem::Message { text: before }, TurnItem::Message { text }) => {
                text.starts_with(before)
            }
            _ => false,
        };
        listed.item = item;
        self.touch(place, !grows, numbers);
    }

    /// Makes the text of the last message another one: what the answer has been read as.
    pub(super) fn set_answer(&mut self, text: &str, numbers: Numbers<'_>) {
        if self.answer() == text {
            return;
        }
        let message = TurnItem::Message { text: text.to_owned() };
        match self.answer {
            Some(place) => self.set(place, message, numbers),
            None => drop(self.add(message, numbers)),
        }
    }

    /// Takes over what another list had recorded, with the answer there is.
    pub(super) fn mirror(
        &mut self,
        recorded: Vec<RecordedItem>,
        answer: &str,
        numbers: Numbers<'_>,
    ) {
        for RecordedItem { place, item, .. } in recorded {
            let Ok(place) = usize::try_from(place) else { continue };
            let is_answer = matches!(item, TurnItem::Answer {});
            let item = if is_answer { TurnItem::Message { text: answer.to_owned() } } else { item };
            // A gap is an item that could not be read.
            while self.list.len() < place {
                let item = TurnItem::Cut { items: 1 };
                self.list.push(Listed { item, changed: 0, replaced: 0 });
                self.touch(self.list.len() - 1, true, numbers);
            }
            if self.list.len() == place {
                self.list.push(Listed { item, changed: 0, replaced: 0 });
                self.touch(place, true, numbers);
            } else {
                self.set(place, item, numbers);
            }
            if is_answer {
                self.answer = Some(place);
            }
        }
    }

    /// The text of the last message.
    pub(super) fn answer(&self) -> &str {
        let last = self.answer.and_then(|place| self.list.get(place));
        last.map(|listed| listed.item.text()).unwrap_or_default()
    }

    /// All items as they are recorded: without the answer's text, which is recorded by itself.
    pub(super) fn recorded(&self) -> Vec<RecordedItem> {
        let recorded = self.list.iter().enumerate().map(|(place, listed)| RecordedItem {
            place: u32::try_from(place).unwrap_or(u32::MAX),
            change: listed.changed,
            item: if self.answer == Some(place) {
                TurnItem::Answer {}
            } else {
                listed.item.clone()
            },
        });
        recorded.collect()
    }

    /// The first change from this number on, and the place of its item.
    pub(super) fn first_from(&self, number: u64) -> Option<(u64, usize)> {
        self.order.range(number..).next().map(|(number, place)| (*number, *place))
    }

    /// What a reader gets that has seen all up to `seen`, and so much of the item's text, if any of the item. None if
    /// nothing is new to it.
    pub(super) fn news(&self, place: usize, seen: u64, has: Option<usize>) -> Option<Change> {
        let listed = self.list.get(place)?;
        let text = listed.item.text();
        match has.and_then(|has| Some((has, text.get(has..)?))) {
            Some((has, rest)) if listed.replaced <= seen => {
                (!rest.is_empty()).then(|| Change::Text(has, rest.to_owned()))
            }
            _ => Some(Change::Item(listed.item.clone())),
        }
    }

    /// How much text each item has.
    pub(super) fn lengths(&self) -> Vec<Option<usize>> {
        self.list.iter().map(|listed| Some(listed.item.text().len())).collect()
    }

    /// Gives an item the next number.
    fn touch(&mut self, place: usize, is_replaced: bool, numbers: Numbers<'_>) {
        let Some(listed) = self.list.get_mut(place) else { return };
        *numbers += 1;
        self.order.remove(&listed.changed);
        self.order.insert(*numbers, place);
        listed.changed = *numbers;
        if is_replaced {
            listed.replaced = *numbers;
        }
    }

    /// The message in this place is the answer now. The one before is recorded with its text from now on, within bounds.
    fn answered(&mut self, place: usize, numbers: Numbers<'_>) {
        let Some(before) = self.answer.replace(place) else { return };
        let said = self.said;
        let Some(Listed { item: TurnItem::Message { text }, .. }) = self.list.get_mut(before)
        else {
            return;
        };
        let cut = start_of(text, SAID.one.min(SAID.all.saturating_sub(said)));
        let is_cut = cut != *text;
        *text = cut;
        self.said += text.len();
        self.touch(before, is_cut, numbers);
    }

    fn leave_out(&mut self, numbers: Numbers<'_>) {
        let end = self.list.len();
        let place = *self.cut.get_or_insert(end);
        if place == end {
            let item = TurnItem::Cut { items: 0 };
            self.list.push(Listed { item, changed: 0, replaced: 0 });
        }
        if let Some(Listed { item: TurnItem::Cut { items }, .. }) = self.list.get_mut(place) {
            *items += 1;
        }
        self.touch(place, true, numbers);
    }

    /// The item with as much of its texts as is kept. What another one in its place had kept is free.
    fn bounded(&mut self, mut item: TurnItem, place: Option<usize>) -> TurnItem {
        let before = place.and_then(|place| self.list.get(place)).map(|listed| &listed.item);
        let [outputs, diffs, said] = before.map(kept).unwrap_or_default();
        self.outputs -= outputs.min(self.outputs);
        self.diffs -= diffs.min(self.diffs);
        self.said -= said.min(self.said);
        let left = SAID.one.min(SAID.all.saturating_sub(self.said));
        match &mut item {
            TurnItem::Command { command, output, .. } => {
                *command = start_of(command, left);
                let left = OUTPUTS.all.saturating_sub(self.outputs);
                *output = end_of(output.trim_end(), OUTPUTS.one.min(left));
            }
            TurnItem::Files { changes, state } if *state != ItemState::Running => {
                let mut left = DIFFS.all.saturating_sub(self.diffs);
                for change in changes {
                    change.diff = start_of(&change.diff, DIFFS.one.min(left));
                    left = left.saturating_sub(change.diff.len());
                }
            }
            TurnItem::Files { changes, .. } => {
                for change in changes {
                    change.diff.clear();
                }
            }
            TurnItem::Plan { steps } => {
                steps.truncate(STEPS);
                for step in steps {
                    step.step = start_of(&step.step, STEP);
                }
            }
            TurnItem::Warning { message: text }
            | TurnItem::Retry { reason: text, .. }
            | TurnItem::Search { query: text, .. }
            | TurnItem::Steer { prompt: text } => *text = start_of(text, left),
            _ => {}
        }
        let [outputs, diffs, said] = kept(&item);
        self.outputs += outputs;
        self.diffs += diffs;
        self.said += said;
        item
    }
}

/// The bytes of an item's texts: of what a command printed, of diffs, and of what was said.
fn kept(item: &TurnItem) -> [usize; 3] {
    match item {
        TurnItem::Command { command, output, .. } => [output.len(), 0, command.len()],
        TurnItem::Files { changes, .. } => {
            [0, changes.iter().map(|change| change.diff.len()).sum(), 0]
        }
        TurnItem::Warning { message: text }
        | TurnItem::Retry { reason: text, .. }
        | TurnItem::Search { query: text, .. }
        | TurnItem::Steer { prompt: text } => [0, 0, text.len()],
        _ => [0; 3],
    }
}
