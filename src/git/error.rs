//! Why git could not do what was asked.

use std::path::PathBuf;

/// Why git could not do what was asked.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum RepositoryError {
    /// The directory is in no repository.
    #[error("`{}` is in no git repository", .0.display())]
    None(PathBuf),
    /// There is no such branch or commit.
    #[error("there is no {kind} `{name}` in the repository at `{}`", directory.display())]
    Unknown {
        /// `branch` or `commit`.
        kind: &'static str,
        /// What was asked for.
        name: String,
        directory: PathBuf,
    },
    /// Nothing has changed.
    #[error("there is nothing to review: {0}")]
    Unchanged(String),
    /// The changes are more than a review takes.
    #[error("the changes are {} KiB, and a review takes {}; the largest are {largest}", bytes.div_ceil(1024), limit.div_ceil(1024))]
    TooLarge {
        /// How much it is.
        bytes: u64,
        /// How much is allowed.
        limit: u64,
        /// The files with the most changed lines.
        largest: String,
    },
    /// There are repositories within the repository, whose content git does not take.
    #[error("there is another git repository inside: {}", paths.join(", "))]
    Nested { paths: Vec<String> },
    /// There is no commit yet.
    #[error("the repository at `{}` has no commits yet", .0.display())]
    NoCommits(PathBuf),
    /// Both sides have changed the same.
    #[error("{} {} changed on both sides: {}", files.len(), if files.len() == 1 { "file is" } else { "files are" }, files.join(", "))]
    Conflicts { files: Vec<String> },
    /// Another program changes the working tree.
    #[error("{reason}")]
    InUse {
        /// Which, as far as that is known.
        reason: String,
    },
    /// Changes were written in part, and not all of that could be taken back.
    #[error("the changes could not be written ({reason}), and not every file is as it was: {}", files.join(", "))]
    HalfWritten {
        /// What was in the way.
        reason: String,
        /// Those files, and where their old content is.
        files: Vec<String>,
    },
    /// Git is not there, takes too long or fails.
    #[error("git cannot {action}: {reason}")]
    Failed {
        action: &'static str,
        /// What git says.
        reason: String,
    },
}
