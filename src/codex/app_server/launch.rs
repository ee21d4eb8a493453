//! What it takes to start an app-server: a binary, a version that can be driven, some patience.

use std::{path::PathBuf, time::Duration};

use tokio_util::sync::CancellationToken;

use crate::codex::{
    error::CodexError,
    find::{SearchPath, find},
    version::CodexVersion,
};

/// How Codex is found and kept.
#[derive(Debug, Clone)]
pub struct CodexConfig {
    /// Where to look for the binary.
    pub search: SearchPath,
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
}

impl Found {
    /// Looks for Codex and asks its version.
    ///
    /// # Errors
    /// [`CodexError::NotFound`], [`CodexError::Start`].
    pub async fn look(search: &SearchPath) -> Result<Self, CodexError> {
        let binary = find(search)?;
        let version = CodexVersion::of(&binary).await?;
        Ok(Self { binary, version })
    }

    /// Refuses a version that cannot be driven.
    pub(super) fn drivable(self) -> Result<Self, CodexError> {
        if self.version < CodexVersion::MINIMUM {
            return Err(CodexError::TooOld { found: self.version, binary: self.binary });
        }
        Ok(self)
    }
}
