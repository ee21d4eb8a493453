//! Rebuilding the context of a conversation for a new thread. Pure.
//!
//! The last turns of our record replace the thread's history: as structured items if Codex takes them, else as a
//! preamble to the prompt. Turns without an answer are left out, because the model would try to answer them now.

use crate::{
    codex::{ContextItem, Role},
    session::TurnRecord,
};

const OPENING: &str = "The earlier part of this conversation, for context:";
const CLOSING: &str = "End of the earlier part. Now:";

/// Picks the newest turns that fit into `bytes`, and returns them oldest first.
///
/// Of each turn, the answer is cut to half of the bytes that are left, the question to the rest.
pub(super) fn items(turns: &[TurnRecord], bytes: usize) -> Vec<ContextItem> {
    let mut left = bytes;
    let mut picked = Vec::new();
    for turn in turns.iter().rev().filter(|turn| !turn.response.is_empty()) {
        if left == 0 {
            break;
        }
        // Half, so that a long answer does not displace its question.
        let response = tail(&turn.response, left.max(1) / 2 + left % 2);
        left -= response.len().min(left);
        let prompt = tail(&turn.told(), left);
        left -= prompt.len().min(left);
        picked.push(ContextItem { role: Role::Assistant, text: response });
        picked.push(ContextItem { role: Role::User, text: prompt });
    }
    picked.retain(|item| !item.text.is_empty());
    picked.reverse();
    picked
}

/// Puts context before a prompt, for a Codex that takes no context items.
pub(super) fn preamble(items: &[ContextItem], prompt: &str) -> String {
    let mut text = format!("{OPENING}\n\n");
    for item in items {
        let role = match item.role {
            Role::User => "User",
            Role::Assistant => "Assistant",
        };
        text += &format!("{role}: {}\n\n", item.text);
    }
    text + CLOSING + "\n\n" + prompt
}

/// The last `bytes` of a text, cut at a character boundary and marked with `…` if cut.
fn tail(text: &str, bytes: usize) -> String {
    if text.len() <= bytes {
        return text.to_owned();
    }
    let start = text.len() - bytes.saturating_sub('…'.len_utf8());
    let start = (start..=text.len()).find(|at| text.is_char_boundary(*at));
    match start.and_then(|start| text.get(start..)) {
        Some(end) if !end.is_empty() => format!("…{end}"),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::session::{SessionStatus, record::examples};

    fn turn(number: u32, prompt: &str, response: &str) -> TurnRecord {
        let (prompt, response) = (prompt.into(), response.into());
        TurnRecord { prompt, response, ..examples::turn(number, SessionStatus::Completed) }
    }

    fn texts(items: &[ContextItem]) -> Vec<&str> {
        items.iter().map(|item| item.text.as_str()).collect()
    }

    #[test]
    fn what_was_answered_comes_in_order() {
        let turns = [turn(1, "q1", "a1"), turn(2, "lost", ""), turn(3, "q3", "a3")];
        assert_eq!(texts(&items(&turns, 1000)), ["q1", "a1", "q3", "a3"]);
    }

    #[test]
    fn the_newest_wins_when_it_is_tight() {
        let turns = [turn(1, "old", "older"), turn(2, "question", "answer")];
        assert_eq!(texts(&items(&turns, 14)), ["question", "answer"]);
        assert_eq!(texts(&items(&turns, 10)), ["…on", "…er"]);
    }

    #[test]
    fn a_preamble_ends_with_the_prompt() {
        let text = preamble(&items(&[turn(1, "q", "a")], 100), "now?");
        assert!(
            text.contains("User: q\n\nAssistant: a\n\n") && text.ends_with("Now:\n\nnow?"),
            "{text}"
        );
    }

    proptest! {
        #[test]
        fn the_bound_holds_for_any_text(prompt in "\\PC*", response in "\\PC*", bytes in 0usize..64) {
            let picked = items(&[turn(1, &prompt, &response), turn(2, &response, &prompt)], bytes);
            let total: usize = picked.iter().map(|item| item.text.len()).sum();
            prop_assert!(total <= bytes, "{total} > {bytes}");
        }
    }
}
