//! How a worktree differs from what it began with.

use super::{
    Git,
    changes::{COMPARE, PATCH},
    command::LIST,
    error::RepositoryError,
    shadow::{Objects, Shadow},
    snapshot::Snapshot,
    worktree::Worktree,
};

const ACTION: &str = "compare";

/// How much has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Extent {
    /// In how many files.
    pub files_changed: u32,
    /// Lines that were added; none of binary files.
    pub insertions: u32,
    /// Lines that were removed; none of binary files.
    pub deletions: u32,
}

impl Worktree {
    /// Its state now, and the shadow that it is in.
    async fn now(&self, git: &Git) -> Result<(Shadow, Snapshot), RepositoryError> {
        let inside = git.inside(self, &self.path);
        let shadow = inside.shadow(Objects::Passing, &[self.objects()]).await?;
        let snapshot = inside.snapshot_in(&shadow).await?;
        Ok((shadow, snapshot))
    }

    /// How much it differs from what it began with.
    ///
    /// # Errors
    /// [`RepositoryError`] if it is gone, or git fails.
    pub async fn extent(&self, git: &Git) -> Result<Extent, RepositoryError> {
        let (shadow, now) = self.now(git).await?;
        let numbers = ["--numstat", "--no-renames", &self.base, &now.tree];
        let counted = [COMPARE.as_slice(), &numbers].concat();
        let listed = shadow.text(ACTION, &counted).await?;
        let mut extent = Extent::default();
        for line in listed.lines() {
            let mut counts = line.split('\t').map(|count| count.parse::<u32>().unwrap_or_default());
            extent.files_changed += 1;
            extent.insertions += counts.next().unwrap_or_default();
            extent.deletions += counts.next().unwrap_or_default();
        }
        Ok(extent)
    }

    /// The difference to what it began with, at most `limit` bytes of it, and whether that is all.
    ///
    /// # Errors
    /// [`RepositoryError`] if it is gone, or git fails.
    pub async fn difference(
        &self,
        git: &Git,
        limit: u64,
    ) -> Result<(String, bool), RepositoryError> {
        let (shadow, now) = self.now(git).await?;
        let between = ["--find-renames", &self.base, &now.tree];
        let arguments = [COMPARE.as_slice(), &PATCH, &between].concat();
        let output = shadow.run(ACTION, &arguments, &[], limit).await?.succeeded(ACTION)?;
        let is_all = output.length <= limit;
        let mut text = String::from_utf8_lossy(&output.bytes).into_owned();
        if !is_all {
            // Up to the end of a line.
            text.truncate(text.rfind('\n').map_or(0, |end| end + 1));
        }
        Ok((text, is_all))
    }

    /// Files that git ignores, and folders of nothing else: they are in no state and go with the worktree.
    ///
    /// # Errors
    /// [`RepositoryError`] if git fails.
    pub async fn ignored(&self, git: &Git) -> Result<Vec<String>, RepositoryError> {
        let inside = git.inside(self, &self.path);
        let shadow = inside.shadow(Objects::Passing, &[self.objects()]).await?;
        shadow.copy_index(&self.first_index(), &shadow.index()).await?;
        let list = ["ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--directory"];
        let action = "list ignored files";
        let listed = shadow.run(action, &list, &[], LIST).await?.succeeded(action)?;
        let listed = listed.parts(action)?;
        Ok(listed.into_iter().map(|path| String::from_utf8_lossy(path).into_owned()).collect())
    }
}
