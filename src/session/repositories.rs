//! Which repositories may be looked at.

use super::{Limits, SessionError};
use crate::git::Repository;

impl Limits {
    /// Checks all that git would read of a repository, not only the directory that a caller has named: a `.git` file or
    /// an alternate in it can point anywhere. A directory that is in no repository is none of this check's concern.
    pub(super) async fn check_repository(
        &self,
        repository: &Repository,
    ) -> Result<(), SessionError> {
        if self.roots.is_empty() {
            return Ok(());
        }
        for folder in repository.folders().await? {
            self.check_history(Some(&folder)).await?;
        }
        Ok(())
    }
}
