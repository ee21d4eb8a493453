//! Which Codex this is, and what that version can do.
//!
//! The boundaries were found by running the published versions, one by one; see
//! `docs/codex-versions.md`.

use std::{fmt, str::FromStr};

/// A version of the Codex CLI. Pre-release tags are ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CodexVersion {
    major: u64,
    minor: u64,
    patch: u64,
}

/// Something that only newer versions of Codex can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// Asking for approvals.
    Approvals,
    /// Listing the models it offers.
    ListingModels,
    /// Listing and reading its recorded threads.
    ListingThreads,
    /// Threads without a record.
    Ephemeral,
    /// Instructions for a thread.
    Instructions,
    /// Forking threads.
    Fork,
    /// Adding to a running turn.
    Steer,
    /// Taking earlier conversation as structured items.
    ContextItems,
}

/// From which version on each can be used.
const MISSING: &[(CodexVersion, Missing)] = &[
    (CodexVersion::APP_SERVER, Missing::Approvals),
    (CodexVersion::APP_SERVER, Missing::ListingModels),
    (CodexVersion::APP_SERVER, Missing::ListingThreads),
    (CodexVersion::APP_SERVER, Missing::Ephemeral),
    (CodexVersion::APP_SERVER, Missing::Instructions),
    (CodexVersion::FORK, Missing::Fork),
    (CodexVersion::STEER, Missing::Steer),
    (CodexVersion::INJECT_ITEMS, Missing::ContextItems),
];

impl CodexVersion {
    /// The first version that can be driven, by `codex exec`.
    pub const MINIMUM: Self = Self::new(0, 50, 0);
    /// The first version whose app-server can be driven: kebab-case settings (0.72.0), several
    /// threads at once (0.64.0).
    pub const APP_SERVER: Self = Self::new(0, 72, 0);
    /// The first version that takes a rebuilt context as structured items.
    pub(crate) const INJECT_ITEMS: Self = Self::new(0, 121, 0);
    /// The first version that may have goals: 0.140 has them, 0.125 has not.
    pub(crate) const GOALS: Self = Self::new(0, 126, 0);
    /// The first version that may have queues of its own: 0.155 has them, 0.146 has not.
    pub(crate) const QUEUES: Self = Self::new(0, 147, 0);
    /// The first version that knows `web_search = "live"`.
    pub(crate) const WEB_SEARCH_MODES: Self = Self::new(0, 87, 0);
    /// The first version that forks threads.
    pub(crate) const FORK: Self = Self::new(0, 80, 0);
    /// The first version that brings an archived thread back. Older ones lose it, and need no release:
    /// their resume reads the record again although the thread is loaded.
    pub(crate) const UNARCHIVE: Self = Self::new(0, 92, 0);
    /// The first version that tells the model of a resumed thread what holds now (0.80 does not; those
    /// between were never published).
    pub(crate) const TELLS_ON_RESUME: Self = Self::new(0, 87, 0);
    /// The first version that knows a model by its list alone, not by how its name begins.
    pub(crate) const KNOWS_BY_LIST: Self = Self::new(0, 111, 0);
    /// The first version that sends a reasoning effort to a model it does not know.
    pub(crate) const EFFORT_FOR_ANY_MODEL: Self = Self::new(0, 145, 0);
    /// The first version in which a model can decide approvals.
    pub(crate) const REVIEWER: Self = Self::new(0, 115, 0);
    /// The first version that can refuse a configuration with mistakes.
    pub(crate) const STRICT_CONFIG: Self = Self::new(0, 131, 0);
    /// The first version that gives threads names.
    pub(crate) const THREAD_NAMES: Self = Self::new(0, 93, 0);
    /// The first version that was seen to leave a project's own configuration alone until the user trusts the project: 0.87
    /// does not, 0.72 knows none.
    pub(crate) const ASKS_FOR_TRUST: Self = Self::new(0, 98, 0);
    /// The first version that takes no rules from a project that the user does not trust: 0.125 takes none, 0.120 does.
    pub(crate) const ASKS_FOR_RULES: Self = Self::new(0, 125, 0);
    /// The first version whose rules cannot be switched off: 0.98 has a word for it, 0.110 has none.
    pub(crate) const NO_SWITCH_FOR_RULES: Self = Self::new(0, 110, 0);
    /// The first version that does not take a folder for a worktree of a repository which does not know it: 0.155 does not,
    /// 0.146 does.
    pub(crate) const CHECKS_WORKTREES: Self = Self::new(0, 155, 0);
    /// The first version that may trust a project because a thread can write there: 0.120 does, 0.110 does not.
    pub(crate) const TRUSTS_BY_ITSELF: Self = Self::new(0, 111, 0);
    /// The first version that was seen not to give commands a variable that is hidden from them, by a snapshot of the
    /// user's shell: 0.155 does. 0.98 has none by itself.
    pub(crate) const HIDES_IN_SNAPSHOTS: Self = Self::new(0, 169, 0);
    /// The first version in which more can be said to a running turn.
    pub(crate) const STEER: Self = Self::new(0, 99, 0);

    /// What this version cannot do, of all that newer ones can.
    pub fn lacks(self) -> Vec<Missing> {
        let missing = MISSING.iter().filter(|(first, _)| self < *first);
        missing.map(|(_, what)| *what).collect()
    }

    const fn new(major: u64, minor: u64, patch: u64) -> Self {
        Self { major, minor, patch }
    }
}

impl fmt::Display for CodexVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// The text is not `MAJOR.MINOR.PATCH`.
#[derive(Debug, thiserror::Error)]
#[error("not a version: `{0}`")]
pub struct NotAVersion(String);

impl FromStr for CodexVersion {
    type Err = NotAVersion;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = semver::Version::parse(text);
        let version = parsed.map_err(|_| NotAVersion(text.to_owned()))?;
        Ok(Self::new(version.major, version.minor, version.patch))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_order_by_number() {
        let parse = |text: &str| text.parse::<CodexVersion>().unwrap();
        assert!(parse("0.9.0") < parse("0.72.0"));
        assert!(parse("0.169.0-alpha.1") >= parse("0.169.0"));
        assert_eq!(parse("1.2.3").to_string(), "1.2.3");
        for bad in ["", "codex-cli", "1.2", "1.2.3.4", "0.x.1"] {
            assert!(bad.parse::<CodexVersion>().is_err(), "{bad}");
        }
    }
}
