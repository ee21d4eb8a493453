//! Text that may come from anybody, made safe to show to a person.
//!
//! What a model writes, or the repository it reads, can hold characters that move a terminal's cursor, wipe
//! what stands there, set its title or the clipboard, or show text in another order than it has. Here they
//! become text like `\u{1b}`. Knows nothing of where the text is shown.

use std::borrow::Cow;

/// Several lines: everything but newlines and tabs is shown as text if it is not visible by itself.
///
/// The two bytes that end a line on Windows are one newline.
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(|letter| is_hidden(letter) && !is_space(letter)) {
        return Cow::Borrowed(text);
    }
    let text = text.replace("\r\n", "\n");
    Cow::Owned(shown(&text, |letter| is_hidden(letter) && !is_space(letter)))
}

/// One line: newlines and tabs are shown as text too.
pub fn visible_line(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(shown(text, is_hidden))
}

fn shown(text: &str, is_hidden: impl Fn(char) -> bool) -> String {
    let mut shown = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        match letter {
            '\n' if is_hidden(letter) => shown.push_str("\\n"),
            '\t' if is_hidden(letter) => shown.push_str("\\t"),
            _ if is_hidden(letter) => shown.extend(letter.escape_unicode()),
            _ => shown.push(letter),
        }
    }
    shown
}

/// Control characters of both kinds, ends of lines and paragraphs, and what changes the direction of text.
fn is_hidden(letter: char) -> bool {
    letter.is_control() || matches!(letter, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn is_space(letter: char) -> bool {
    matches!(letter, '\n' | '\t')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_shown() {
        for (text, shown) in [
            ("AA \u{1b}]0;pwn\u{7} BB \u{1b}[2J", "AA \\u{1b}]0;pwn\\u{7} BB \\u{1b}[2J"),
            ("touch PWNED; : \u{1b}[2K\rls -l", "touch PWNED; : \\u{1b}[2K\\u{d}ls -l"),
            ("a\u{9b}31mb\u{7f}", "a\\u{9b}31mb\\u{7f}"),
            ("x\u{202e}txt.exe\u{2066}", "x\\u{202e}txt.exe\\u{2066}"),
            ("one\r\n\ttwo\n", "one\n\ttwo\n"),
        ] {
            assert_eq!(visible(text), shown);
        }
        assert_eq!(visible_line("one\r\n\ttwo"), "one\\u{d}\\n\\ttwo");
    }

    #[test]
    fn other_text_stays_as_it_is() {
        for text in ["", "grüße, 世界 🦀\n\tfn", "שלום", "a\\u{1b}"] {
            assert!(matches!(visible(text), Cow::Borrowed(same) if same == text));
        }
    }

    proptest! {
        #[test]
        fn nothing_hidden_is_left(text in any::<String>()) {
            let (lines, line) = (visible(&text), visible_line(&text));
            prop_assert!(!lines.contains(|letter| is_hidden(letter) && !is_space(letter)));
            prop_assert!(!line.contains(is_hidden));
            prop_assert_eq!(visible(&lines), lines.as_ref());
            prop_assert_eq!(visible_line(&line), line.as_ref());
        }
    }
}
