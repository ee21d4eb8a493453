//! Which tools the operator offers, and texts that name no others.
//!
//! Texts here are written so that every tool is named in backticks, or by a name that is no English word,
//! and so that a sentence can be left out without the others losing their sense. Knows nothing of what the
//! tools do.

use std::borrow::Cow;

/// Said in place of a text of which nothing is left.
const NOTHING: &str =
    "The operator offers no tool for that here; see `tools` in the configuration.";

/// The tools that are offered, and those that are not.
#[derive(Debug, Clone, Default)]
pub(super) struct Offer {
    offered: Vec<&'static str>,
    hidden: Vec<&'static str>,
}

impl Offer {
    /// An offer of some of `all` tools.
    pub(super) fn new(all: &[&'static str], offered: &[&'static str]) -> Self {
        let hidden = all.iter().copied().filter(|name| !offered.contains(name)).collect();
        Self { offered: offered.to_vec(), hidden }
    }

    /// The names of the tools that are offered.
    pub(super) fn names(&self) -> &[&'static str] {
        &self.offered
    }

    /// Whether the tool of this name is offered.
    pub(super) fn has(&self, name: &str) -> bool {
        self.offered.contains(&name)
    }

    /// The sentences of a text that name only tools that are offered, or what to do if none is left.
    pub(super) fn only<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if !self.hides(text) {
            return Cow::Borrowed(text);
        }
        let lines = text.split('\n').map(|line| {
            let kept = line.split_inclusive(". ").filter(|sentence| !self.hides(sentence));
            kept.collect::<String>().trim_end().to_owned()
        });
        let kept = lines.collect::<Vec<_>>().join("\n");
        if kept.trim().is_empty() { Cow::Borrowed(NOTHING) } else { Cow::Owned(kept) }
    }

    fn hides(&self, text: &str) -> bool {
        self.hidden.iter().any(|name| names(text, name))
    }
}

/// Whether a text names a tool: in backticks, or anywhere if the name is no word of English.
fn names(text: &str, tool: &str) -> bool {
    let is_word = tool.chars().all(|letter| letter.is_ascii_lowercase());
    text.contains(&format!("`{tool}`")) || (!is_word && text.contains(tool))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_names_only_what_is_offered() {
        let offer = Offer::new(&["codex", "wait", "listSessions"], &["codex"]);
        assert!(offer.has("codex") && !offer.has("wait"));
        for (text, kept) in [
            ("Ask `codex`. Or wait.", "Ask `codex`. Or wait."),
            ("First. Use `wait` then. Last.", "First. Last."),
            ("See listSessions for names. They expire.", "They expire."),
            ("Use `codex`.\nUse `wait`.", "Use `codex`.\n"),
            ("Use `wait`.", NOTHING),
        ] {
            assert_eq!(offer.only(text), kept);
        }
        assert_eq!(Offer::default().only("Use `wait`."), "Use `wait`.");
    }
}
