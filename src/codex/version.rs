//! Which Codex this is, and what that version can do.
//!
//! The boundaries were found by running the published versions, one by one; see
//! `docs/codex-versions.md`.

use std::{fmt, path::Path, process::Stdio, str::FromStr, time::Duration};

use super::{error::CodexError, process};

/// A version of the Codex CLI. Pre-release tags are ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CodexVersion {
    major: u32,
    minor: u32,
    patch: u32,
}

impl CodexVersion {
    /// The first version that can be driven, by `codex exec`.
    pub const MINIMUM: Self = Self::new(0, 50, 0);
    /// The first version whose app-server can be driven: kebab-case settings (0.72.0), several
    /// threads at once (0.64.0).
    pub const APP_SERVER: Self = Self::new(0, 72, 0);
    /// The first version that takes a rebuilt context as structured items.
    pub(crate) const INJECT_ITEMS: Self = Self::new(0, 121, 0);
    /// The first version that knows `web_search = "live"`.
    pub(crate) const WEB_SEARCH_MODES: Self = Self::new(0, 87, 0);
    /// The first version that forks threads.
    pub(crate) const FORK: Self = Self::new(0, 80, 0);
    /// The first version in which more can be said to a running turn.
    pub(crate) const STEER: Self = Self::new(0, 99, 0);

    /// What this version cannot do of what this server offers, in words.
    pub fn lacks(self) -> Vec<&'static str> {
        const MISSING: &[(CodexVersion, &str)] = &[
            (CodexVersion::APP_SERVER, "approvals: what would need one is refused by Codex itself"),
            (CodexVersion::APP_SERVER, "listModels, and listSessions with includeThreads"),
            (CodexVersion::APP_SERVER, "ephemeral calls, and instructions with a call"),
            (CodexVersion::APP_SERVER, "its own code review: review asks for one in words"),
            (
                CodexVersion::FORK,
                "forking its threads: forkSession rebuilds from this server's record",
            ),
            (CodexVersion::STEER, "steer, and onBusy steer"),
            (
                CodexVersion::INJECT_ITEMS,
                "context as items: a rebuilt one stands before the prompt",
            ),
        ];
        let missing = MISSING.iter().filter(|(first, _)| self < *first);
        missing.map(|(_, what)| *what).collect()
    }

    const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self { major, minor, patch }
    }

    /// Asks a binary for its version.
    ///
    /// # Errors
    /// [`CodexError::Start`] if it does not run, takes longer than ten seconds or says no version.
    pub async fn of(binary: &Path) -> Result<Self, CodexError> {
        let failed = |cause: String| CodexError::Start { binary: binary.to_owned(), cause };
        let mut command = process::command(binary);
        command.arg("--version").stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        let output = tokio::time::timeout(Duration::from_secs(10), command.output()).await;
        let output = output.map_err(|_| failed("`--version` took over ten seconds".to_owned()))?;
        let output = output.map_err(|error| failed(error.to_string()))?;
        let text = String::from_utf8_lossy(&output.stdout);
        // `codex-cli 0.169.0`; a warning may come before it.
        let version = text.split_whitespace().rev().find_map(|word| word.parse().ok());
        version.ok_or_else(|| failed(format!("`--version` said no version ({})", output.status)))
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
        let core = text.split(['-', '+']).next().unwrap_or_default();
        let mut numbers = core.split('.').map(str::parse);
        match (numbers.next(), numbers.next(), numbers.next(), numbers.next()) {
            (Some(Ok(major)), Some(Ok(minor)), Some(Ok(patch)), None) => {
                Ok(Self::new(major, minor, patch))
            }
            _ => Err(NotAVersion(text.to_owned())),
        }
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

    #[tokio::test]
    async fn a_binary_that_is_not_codex_is_named() {
        let error = CodexVersion::of(Path::new("/bin/true")).await.unwrap_err();
        assert!(error.to_string().contains("/bin/true"), "{error}");
        let error = CodexVersion::of(Path::new("/no/such/codex")).await.unwrap_err();
        assert!(error.to_string().contains("/no/such/codex"), "{error}");
    }
}
