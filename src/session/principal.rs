//! Who calls over the network: a subject of one tenant, and what it may do.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// The longest name of a tenant.
const MAX_LENGTH: usize = 64;

/// The name of a tenant: one to 64 of `a-z 0-9 _ -`, safe in file names whatever their case means.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Tenant(String);

/// The text is not the name of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names no tenant: it must be 1 to {MAX_LENGTH} of `a-z 0-9 _ -`")]
pub struct InvalidTenant(String);

/// What a principal may do. Each includes those before it.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    strum::EnumString,
    strum::IntoStaticStr,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Scope {
    /// Look at sessions.
    Read,
    /// Have Codex work, and change sessions.
    Run,
    /// Look at the server.
    Admin,
}

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Whose sessions it works with. `None` for the operator's own.
    pub tenant: Option<Tenant>,
    /// Tells it from the others of its tenant.
    pub subject: String,
    /// What it may do.
    pub scope: Scope,
}

impl Principal {
    /// The one who runs this server, or for whom it was started: may do everything.
    pub fn operator(tenant: Option<Tenant>) -> Self {
        Self { tenant, subject: "operator".to_owned(), scope: Scope::Admin }
    }
}

impl Scope {
    /// As tokens and headers have it.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl Tenant {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Tenant {
    type Err = InvalidTenant;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed =
            |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-');
        if (1..=MAX_LENGTH).contains(&text.len()) && text.chars().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidTenant(text.escape_default().take(2 * MAX_LENGTH).collect()))
        }
    }
}

impl TryFrom<String> for Tenant {
    type Error = InvalidTenant;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Tenant> for String {
    fn from(tenant: Tenant) -> Self {
        tenant.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_is_safe_in_a_path() {
        for name in ["a", "team-1", "x_y", &"a".repeat(64)] {
            assert_eq!(name.parse::<Tenant>().unwrap().as_str(), name);
        }
        for name in ["", "A", "a/b", "..", "a b", "ä", "a\0", &"a".repeat(65)] {
            assert!(name.parse::<Tenant>().is_err(), "{name:?}");
        }
    }

    #[test]
    fn a_scope_includes_those_before_it() {
        assert!(Scope::Read < Scope::Run && Scope::Run < Scope::Admin);
        assert_eq!("run".parse(), Ok(Scope::Run));
        assert!("Run".parse::<Scope>().is_err());
    }
}
