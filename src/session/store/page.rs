//! Paging through sessions, last used first.

use std::{fmt, path::PathBuf, str::FromStr};

use jiff::Timestamp;

use crate::session::{SessionName, SessionRecord, SessionStatus};

/// How much of each turn's texts to read, in characters: answers can have millions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Excerpt {
    /// Characters of the response to skip.
    pub offset: usize,
    /// The most characters of prompt and response each.
    pub length: usize,
}

impl Excerpt {
    /// Everything.
    pub const ALL: Self = Self { offset: 0, length: usize::MAX };

    /// The beginning.
    pub fn first(length: usize) -> Self {
        Self { offset: 0, length }
    }
}

/// Which part of the list is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// How many at most.
    pub limit: u32,
    /// Where the previous page ended.
    pub after: Option<Cursor>,
    /// Only those whose name or prompts have this in them, in any case; and those with a turn that has ended in which
    /// each word of it (of the first 16) begins a word, of the prompt or of the answer as far as a store has them in its
    /// index: the first 20,000 and 100,000 characters at least.
    pub search: Option<String>,
    /// Only those that work in exactly this directory.
    pub directory: Option<PathBuf>,
    /// Only those with this status.
    pub status: Option<SessionStatus>,
    /// Only those last used at this moment or later.
    pub since: Option<Timestamp>,
    /// Only those last used before this moment.
    pub before: Option<Timestamp>,
}

impl Page {
    /// The first `limit` sessions.
    pub fn first(limit: u32) -> Self {
        let (after, search, directory) = (None, None, None);
        Self { limit, after, search, directory, status: None, since: None, before: None }
    }

    /// The place after which it begins.
    pub(super) fn start(&self) -> (i64, &str) {
        let (ms, name) = match &self.after {
            Some(Cursor { accessed_ms, name }) => (*accessed_ms, name.as_str()),
            None => (i64::MAX, ""),
        };
        // No session has an empty name.
        match self.before.map(|before| before.as_millisecond() - 1) {
            Some(last) if last < ms => (last, ""),
            _ => (ms, name),
        }
    }
}

/// How many words of a search are looked for.
const WORDS: usize = 16;

/// The words of a text of at least two letters or digits, in lower case.
pub(super) fn words(search: &str) -> Vec<String> {
    let words = search.split(|letter: char| !letter.is_alphanumeric());
    words.filter(|word| word.chars().count() > 1).map(str::to_lowercase).collect()
}

/// The words that a search looks for: the first of them.
pub(super) fn wanted(search: &str) -> Vec<String> {
    let mut wanted = words(search);
    wanted.truncate(WORDS);
    wanted
}

/// A part of the list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listing {
    pub sessions: Vec<SessionRecord>,
    /// Where to go on. None at the end.
    pub next: Option<Cursor>,
    /// Names of sessions that belong here but cannot be read.
    pub damaged: Vec<String>,
}

/// A place in the list: the last session of a page.
///
/// It names a moment and a session, not a number, so that nothing is skipped or seen twice when
/// sessions come and go between two pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    pub(super) accessed_ms: i64,
    pub(super) name: SessionName,
}

/// The text is not a cursor of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor from an earlier page")]
pub struct InvalidCursor;

impl Cursor {
    #[cfg(test)]
    pub(super) fn at(record: &SessionRecord) -> Self {
        let accessed_ms = record.last_accessed_at.as_millisecond();
        Self { accessed_ms, name: record.name.clone() }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.accessed_ms, self.name)
    }
}

impl FromStr for Cursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (accessed_ms, name) = text.split_once('.').ok_or(InvalidCursor)?;
        Ok(Self {
            accessed_ms: accessed_ms.parse().map_err(|_| InvalidCursor)?,
            name: name.parse().map_err(|_| InvalidCursor)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_cursor_survives_the_round_trip() {
        let cursor: Cursor = "1700000000000.my-session".parse().unwrap();
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for bad in ["", "7", "x.y", "7.", "7.a b"] {
            assert!(bad.parse::<Cursor>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_text_is_a_cursor_or_refused(text in "(-?[0-9]{0,20}\\.)?\\PC{0,12}") {
            if let Ok(cursor) = text.parse::<Cursor>() {
                prop_assert_eq!(cursor.to_string().parse(), Ok(cursor));
            }
        }

        #[test]
        fn any_moment_and_name_make_a_cursor(moment in any::<i64>(), name in "[A-Za-z0-9_-]{1,256}") {
            let cursor: Cursor = format!("{moment}.{name}").parse().unwrap();
            prop_assert_eq!(cursor.accessed_ms, moment);
            prop_assert_eq!(cursor.name.as_str(), name);
        }
    }
}
