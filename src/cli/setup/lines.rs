//! Ends of lines and the mark of the encoding, which a change of a text must not touch. Pure.

use imara_diff::{Algorithm, Diff, InternedInput};

/// What Windows programs put in front of a text in UTF-8.
pub(super) const MARK: char = '\u{feff}';

/// Changes a text whose lines may end in any way by something that knows only newlines. Lines that stay keep
/// their ends; others get what most lines have.
///
/// # Errors
/// Those of `change`.
pub(super) fn keep<E>(
    text: &str,
    change: impl FnOnce(&str) -> Result<String, E>,
) -> Result<String, E> {
    let marked = text.starts_with(MARK);
    let text = text.trim_start_matches(MARK);
    let plain = text.replace("\r\n", "\n");
    let changed = change(&plain)?;
    let mark = if marked { MARK.to_string() } else { String::new() };
    if !text.contains("\r\n") {
        return Ok(mark + &changed);
    }
    let before: Vec<&str> = text.split_inclusive('\n').collect();
    let windows = before.iter().filter(|line| line.ends_with("\r\n")).count();
    let is_windows = windows * 2 >= before.len();
    let after: Vec<&str> = changed.split_inclusive('\n').collect();
    let input = InternedInput::new(plain.as_str(), changed.as_str());
    let mut kept = mark;
    let mut rest = before.as_slice();
    let mut at = 0;
    for hunk in Diff::compute(Algorithm::Histogram, &input).hunks() {
        let (same, changed) =
            rest.split_at_checked((hunk.before.start - at) as usize).unwrap_or_default();
        kept.extend(same.iter().copied());
        for line in
            after.get(hunk.after.start as usize..hunk.after.end as usize).unwrap_or_default()
        {
            kept += &if is_windows { line.replace('\n', "\r\n") } else { (*line).to_owned() };
        }
        rest = changed.get(hunk.before.len()..).unwrap_or_default();
        at = hunk.before.end;
    }
    kept.extend(rest.iter().copied());
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn same(text: &str) -> String {
        keep(text, |plain| Ok::<_, ()>(plain.to_owned())).unwrap()
    }

    #[test]
    fn new_lines_end_as_most_do() {
        let added = |text| keep(text, |plain| Ok::<_, ()>(format!("{plain}new\n"))).unwrap();
        assert_eq!(added("a\r\nb\nc\r\n"), "a\r\nb\nc\r\nnew\r\n");
        assert_eq!(added("a\nb\nc\r\n"), "a\nb\nc\r\nnew\n");
    }

    proptest! {
        #[test]
        fn what_changes_is_as_it_should_be(
            old in proptest::collection::vec(("[ab]{0,2}", prop_oneof!["\r\n", "\n"]), 0..8),
            new in proptest::collection::vec("[ab]{0,2}\n", 0..8),
        ) {
            let old: String = old.into_iter().map(|(line, end)| line + &end).collect();
            let new = new.concat();
            let kept = keep(&old, |_| Ok::<_, ()>(new.clone())).unwrap();
            prop_assert_eq!(kept.replace("\r\n", "\n"), new);
        }

        #[test]
        fn a_text_that_does_not_change_stays(
            lines in proptest::collection::vec(("[ab]{0,2}", prop_oneof!["\r\n", "\n"]), 0..8),
            mark in "\u{feff}?",
        ) {
            let lines: String = lines.into_iter().map(|(line, end)| line + &end).collect();
            let text = mark + &lines;
            prop_assert_eq!(same(&text), text);
        }
    }
}
