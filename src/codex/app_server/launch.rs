//! What it takes to start an app-server: a binary, a version that can be driven, some patience.

use std::{path::PathBuf, time::Duration};

use tokio_util::sync::CancellationToken;

use crate::codex::{
    error::CodexError,
    find::{Binary, SearchPath, find},
    version::CodexVersion,
};

/// How Codex is found and kept.
#[derive(Debug, Clone)]
pub struct CodexConfig {
    /// Where to look for the binary.
    pub search: SearchPath,
    /// Codex's own folder.
    pub codex_home: PathBuf,
    /// How long the child stays with nothing to do.
    pub idle: Duration,
    /// How long a request other than a turn may take.
    ///
    /// Codex itself waits up to 30 s for its state database after an unlucky kill (observed, 0.140 on).
    pub patience: Duration,
    /// Cancelled when the child must not be given time to end.
    pub hurry: CancellationToken,
}

/// The Codex that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The native binary.
    pub binary: PathBuf,
    /// Its version.
    pub version: CodexVersion,
    /// Why this one, in words.
    pub reason: &'static str,
    /// Others that were found and not taken.
    pub others: Vec<PathBuf>,
}

impl Found {
    /// Looks for Codex and asks its version.
    ///
    /// # Errors
    /// [`CodexError::NotFound`], [`CodexError::Start`].
    pub async fn look(search: &SearchPath) -> Result<Self, CodexError> {
        let Binary { path: binary, reason, others } = find(search)?;
        let version = CodexVersion::of(&binary).await?;
        Ok(Self { binary, version, reason, others })
    }

    /// How this version is driven: `app-server`, or `exec` for older ones.
    pub fn engine(&self) -> &'static str {
        if self.version < CodexVersion::APP_SERVER { "exec" } else { "app-server" }
    }

    /// Refuses a version that cannot be driven.
    pub(super) fn drivable(self) -> Result<Self, CodexError> {
        if self.version < CodexVersion::MINIMUM {
            return Err(CodexError::TooOld { found: self.version, binary: self.binary });
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_decides_how_codex_is_driven() {
        let found = |version: &str| Found {
            binary: "/codex".into(),
            version: version.parse().unwrap(),
            reason: "",
            others: Vec::new(),
        };
        assert!(matches!(found("0.49.9").drivable(), Err(CodexError::TooOld { .. })));
        assert_eq!(found("0.50.0").drivable().unwrap().engine(), "exec");
        assert_eq!(found("0.71.9").engine(), "exec");
        assert_eq!(found("0.72.0").engine(), "app-server");
        assert!(found("0.72.0").version.lacks().len() < found("0.50.0").version.lacks().len());
        assert!(found("0.169.0").version.lacks().is_empty());
    }
}
