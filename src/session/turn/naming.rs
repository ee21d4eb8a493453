//! The names of threads in Codex: a session's thread carries the session's name, so that `codex resume NAME`, `codex
//! agents` and Codex's apps show it. Nothing of it can fail a turn.

use super::actor::Actor;
use crate::{
    codex::CodexError,
    session::{SessionRecord, store::Turns},
};

/// The longest title, in characters.
const TITLE: usize = 60;

impl Actor {
    /// Gives the loaded thread the name it is to have, and notes that in the session's record. A failure is logged; the
    /// end of the next turn tries again.
    pub(super) async fn name_thread(&mut self, mut record: SessionRecord) {
        let (Some(loaded), Some(guard)) = (&self.loaded, &self.lease) else { return };
        let Some(name) = record.name_for_thread().map(str::to_owned) else { return };
        match loaded.thread.set_name(&name).await {
            Ok(()) => {
                record.details.thread_name = Some(name);
                let written = guard.store().commit(guard.lease(), &record, Turns::Keep).await;
                if let Err(error) = written {
                    tracing::debug!(session = %self.name, %error, "the name of a thread is not recorded");
                }
            }
            Err(CodexError::Unsupported { .. }) => {}
            Err(error) => {
                tracing::warn!(session = %self.name, %error, "cannot name a thread");
            }
        }
    }
}

/// How a prompt begins, in one line of at most 60 characters.
pub(in crate::session) fn title(prompt: &str) -> Option<String> {
    let printable = |c: &char| !c.is_control();
    let line = prompt.lines().map(str::trim).find(|line| !line.is_empty())?;
    let line = line.trim_start_matches(['#', '>', '-', '*', ' ']);
    let words: Vec<String> =
        line.split_whitespace().map(|word| word.chars().filter(printable).collect()).collect();
    let line = words.join(" ");
    let Some((end, _)) = line.char_indices().nth(TITLE) else {
        return (!line.is_empty()).then_some(line);
    };
    let cut = line.get(..end).unwrap_or_default();
    // At the end of a word, unless that is far away.
    let whole = cut.rsplit_once(' ').map(|(whole, _)| whole);
    let cut = whole.filter(|whole| whole.len() > cut.len() / 2).unwrap_or(cut);
    Some(format!("{}…", cut.trim_end_matches([' ', ',', ';', ':'])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_how_the_prompt_begins() {
        for (prompt, expected) in [
            ("Fix the login", Some("Fix the login")),
            ("\n  ## Fix\tthe   login\nIt fails.", Some("Fix the login")),
            ("", None),
            (" \n\t", None),
            ("###", None),
        ] {
            assert_eq!(title(prompt).as_deref(), expected, "{prompt:?}");
        }
        let long =
            title("Find out why the nightly build of the documentation fails on one machine alone");
        assert_eq!(long.unwrap(), "Find out why the nightly build of the documentation fails…");
        let one = title(&"ä".repeat(99)).unwrap();
        assert_eq!(one.chars().count(), TITLE + 1);
        assert!(!title("a\u{1b}[31mb").unwrap().contains('\u{1b}'));
    }
}
