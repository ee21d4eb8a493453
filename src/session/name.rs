//! Session names, valid by construction.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::codex::ThreadId;

/// The longest name.
const MAX_LENGTH: usize = 256;

/// A session's name: one to 256 of `A-Z a-z 0-9 _ -`.
///
/// The alphabet keeps names safe in file names, URIs and command lines.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SessionName(String);

/// The text is not a session name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to {MAX_LENGTH} of `A-Z a-z 0-9 _ -`, but {0}")]
pub struct InvalidName(String);

impl SessionName {
    /// A generated name: a random UUID.
    pub fn automatic() -> Self {
        Self(uuid::Uuid::new_v4().to_string())
    }

    /// The id of the Codex thread that this name may mean. `None` if the name is not a UUID.
    pub(super) fn as_thread(&self) -> Option<ThreadId> {
        uuid::Uuid::try_parse(&self.0).ok().map(|id| ThreadId(id.to_string()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SessionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for SessionName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let length = text.chars().count();
        if length == 0 {
            return Err(InvalidName("it is empty".to_owned()));
        }
        if length > MAX_LENGTH {
            return Err(InvalidName(format!("it has {length}")));
        }
        let allowed = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        match text.chars().find(|c| !allowed(c)) {
            Some(other) => Err(InvalidName(format!("it contains `{}`", other.escape_default()))),
            None => Ok(Self(text.to_owned())),
        }
    }
}

impl TryFrom<String> for SessionName {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<SessionName> for String {
    fn from(name: SessionName) -> Self {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_automatic_name_is_a_name() {
        let name = SessionName::automatic();
        assert_eq!(name.as_str().parse(), Ok(name.clone()));
        assert_ne!(name, SessionName::automatic());
    }

    #[test]
    fn the_reason_names_what_is_wrong() {
        let reason = |text: &str| text.parse::<SessionName>().unwrap_err().to_string();
        assert!(reason("").ends_with("but it is empty"));
        assert!(reason("a b").ends_with("but it contains ` `"));
        assert!(reason("../x").ends_with("but it contains `.`"));
        assert!(reason(&"x".repeat(257)).ends_with("but it has 257"));
    }

    proptest! {
        #[test]
        fn exactly_the_alphabet_is_accepted(text in ".{0,300}") {
            let valid = (1..=256).contains(&text.chars().count())
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
            prop_assert_eq!(text.parse::<SessionName>().is_ok(), valid);
        }
    }
}
