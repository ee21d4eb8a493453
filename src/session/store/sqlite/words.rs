//! What SQLite says in its own words.

use crate::session::store::{
    page::wanted,
    sql::{Dialect, Words},
};

/// SQLite's.
pub(super) const DIALECT: Dialect =
    Dialect { words: WORDS, search: |search| (pattern(search), Some(question(search))) };

/// The words of the statements that are SQLite's own. A transaction that writes has the whole file, so nothing is locked.
const WORDS: Words = &[
    ("clock", "$2"),
    ("clock_once", "$2"),
    ("items", "json_group_array(json_object('place', place, 'change', change, 'item', item))"),
    ("tell", "NULL"),
    ("tell_of_session", "NULL"),
    (
        "mentioned",
        "name GLOB $7 OR EXISTS (SELECT 1 FROM turns WHERE turns.tenant = $1 AND session = name AND prompt GLOB $7)",
    ),
    (
        "with_words",
        "SELECT session FROM turn_keys WHERE tenant = $1 \
         AND id IN (SELECT rowid FROM turn_words WHERE turn_words MATCH $8)",
    ),
];

/// How much of a search is looked for as it is, in letters: a longer pattern is refused.
const SEARCHED: usize = 2000;

/// A pattern for texts that have this in them, in any case of any alphabet: SQLite's own functions know ASCII's alone.
fn pattern(search: &str) -> String {
    let mut pattern = "*".to_owned();
    for letter in search.chars().take(SEARCHED) {
        let mut cases: Vec<char> = letter.to_lowercase().chain(letter.to_uppercase()).collect();
        // What has several letters in another case has that case alone.
        if cases.len() != 2 {
            cases = vec![letter];
        }
        cases.dedup();
        match *cases {
            [letter] if !"*?[".contains(letter) => pattern.push(letter),
            _ => {
                pattern.push('[');
                pattern.extend(cases);
                pattern.push(']');
            }
        }
    }
    pattern.push('*');
    pattern
}

/// A search for turns that have a word beginning with each of these. One for no words finds nothing.
fn question(search: &str) -> String {
    let words: Vec<_> = wanted(search).into_iter().map(|word| format!("\"{word}\"*")).collect();
    if words.is_empty() { "\"\"".to_owned() } else { words.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_finds_a_text_in_any_case() {
        assert_eq!(pattern("aÄ1*"), "*[aA][äÄ]1[*]*");
        assert_eq!(pattern("ß[]"), "*ß[[]]*");
    }
}
