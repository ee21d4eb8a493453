//! What a caller may do: the one table of the scope that each verb of the core needs.
//!
//! A [`super::Sessions`] handle belongs to a [`Principal`]. Each verb that decides or changes something checks here, so an
//! adapter that forgets to check cannot let a caller do more than its scope allows. Adapters name verbs, not scopes, where
//! they refuse earlier than the core does. Knows nothing of tools, methods or paths.

use super::{Principal, Scope, SessionError};

/// What a caller does with sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::EnumIter)]
pub enum Verb {
    /// Sees sessions, turns, open approvals, models and usage, and follows a turn.
    Look,
    /// Takes an answer that no caller has collected yet, so that a repeated call does not get it.
    Collect,
    /// Has Codex work.
    Ask,
    /// Is asked what Codex asks, and answers or declines it.
    Answer,
    /// Adds something to a running turn.
    Steer,
    /// Stops a turn, or takes a call back.
    Interrupt,
    /// Makes, renames, deletes, forks or imports sessions, and applies or discards their worktrees.
    Change,
    /// Sees what concerns all tenants.
    Oversee,
}

impl Verb {
    /// The scope that a caller needs for it.
    pub const fn needs(self) -> Scope {
        match self {
            Self::Look => Scope::Read,
            Self::Collect
            | Self::Ask
            | Self::Answer
            | Self::Steer
            | Self::Interrupt
            | Self::Change => Scope::Run,
            Self::Oversee => Scope::Admin,
        }
    }
}

impl Principal {
    /// Whether it may do this.
    pub fn may(&self, verb: Verb) -> bool {
        self.scope >= verb.needs()
    }

    /// Fails unless it may do this.
    ///
    /// # Errors
    /// [`SessionError::Scope`].
    pub fn check(&self, verb: Verb) -> Result<(), SessionError> {
        if self.may(verb) {
            return Ok(());
        }
        Err(SessionError::Scope { has: self.scope, needed: verb.needs() })
    }
}

#[cfg(test)]
mod tests {
    use strum::IntoEnumIterator;

    use super::*;

    #[test]
    fn a_caller_that_reads_decides_nothing() {
        for (scope, may) in [
            (Scope::Read, &[Verb::Look][..]),
            (
                Scope::Run,
                &[
                    Verb::Look,
                    Verb::Collect,
                    Verb::Ask,
                    Verb::Answer,
                    Verb::Steer,
                    Verb::Interrupt,
                    Verb::Change,
                ],
            ),
        ] {
            let caller = Principal { tenant: None, subject: "a".to_owned(), scope };
            for verb in Verb::iter() {
                assert_eq!(caller.may(verb), may.contains(&verb), "{scope:?} {verb:?}");
                assert_eq!(caller.check(verb).is_ok(), may.contains(&verb), "{scope:?} {verb:?}");
            }
        }
    }
}
