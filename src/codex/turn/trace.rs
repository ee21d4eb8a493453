//! What a person may want to look at of a turn besides its answer, as much of it as is worth keeping. Pure.

use serde::{Deserialize, Serialize};

/// The longest output of one command, in bytes: its end, where errors are.
const OUTPUT: usize = 4_000;

/// All outputs of a turn together.
const OUTPUTS: usize = 64_000;

/// The longest diff of one file, in bytes: its beginning.
const DIFF: usize = 16_000;

/// All diffs of a turn together.
const DIFFS: usize = 128_000;

/// What commands printed, and how files were changed. Bounded; what is cut says so.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TurnTrace {
    /// What each command printed, in the order of the turn's commands; empty if that is nothing, or not known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<String>,
    /// How each file was changed, in the order of the turn's changes; empty if Codex does not say.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub diffs: Vec<String>,
}

impl TurnTrace {
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn add_output(&mut self, output: &str) {
        let left = OUTPUTS.saturating_sub(self.outputs.iter().map(String::len).sum());
        self.outputs.push(end_of(output.trim_end(), OUTPUT.min(left)));
    }

    pub(super) fn add_diff(&mut self, diff: &str) {
        let left = DIFFS.saturating_sub(self.diffs.iter().map(String::len).sum());
        self.diffs.push(start_of(diff, DIFF.min(left)));
    }
}

/// The end of a text, from a line's beginning if there is one.
fn end_of(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let begin = text.ceil_char_boundary(text.len() - limit);
    let end = text.get(begin..).unwrap_or_default();
    let end = end.split_once('\n').map_or(end, |(_, lines)| lines);
    format!("[{} bytes before this are left out]\n{end}", text.len() - end.len())
}

/// The beginning of a text, to a line's end if there is one.
fn start_of(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let start = text.get(..text.floor_char_boundary(limit)).unwrap_or_default();
    let start = start.rsplit_once('\n').map_or(start, |(lines, _)| lines);
    format!("{start}\n[{} bytes after this are left out]", text.len() - start.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_long_is_cut_at_lines_and_says_so() {
        let mut trace = TurnTrace::default();
        trace.add_output("short\n");
        let long =
            (0..9_999).map(|number| format!("line {number} ä\n")).collect::<Vec<_>>().concat();
        trace.add_output(&long);
        assert_eq!(trace.outputs[0], "short");
        assert!(trace.outputs[1].ends_with("\nline 9998 ä"), "{}", trace.outputs[1]);
        let (said, first) = trace.outputs[1].split_once('\n').unwrap();
        assert!(said.contains("bytes before") && first.starts_with("line "), "{said} {first:.20}");
        trace.add_diff(&long);
        assert!(trace.diffs[0].starts_with("line 0 ä\n"), "{:.30}", trace.diffs[0]);
        assert!(trace.diffs[0].ends_with("bytes after this are left out]"));
        trace.add_output(&"ä".repeat(9_999));
        assert!(trace.outputs[2].ends_with("ää"));
    }

    #[test]
    fn a_turn_with_very_much_of_it_is_bounded() {
        let mut trace = TurnTrace::default();
        for _ in 0..1_000 {
            trace.add_output(&"x\n".repeat(9_999));
            trace.add_diff(&"+y\n".repeat(9_999));
        }
        let bytes = |texts: &[String]| texts.iter().map(String::len).sum::<usize>();
        assert_eq!((trace.outputs.len(), trace.diffs.len()), (1_000, 1_000));
        // What is left out is said each time.
        assert!(bytes(&trace.outputs) < OUTPUTS + 100_000, "{}", bytes(&trace.outputs));
        assert!(bytes(&trace.diffs) < DIFFS + 100_000, "{}", bytes(&trace.diffs));
    }
}
