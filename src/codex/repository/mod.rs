//! What git says and does for us: the code that a review looks at, and worktrees.
//!
//! Git runs without the variables that would point it at another repository, and asks nobody anything.

mod changes;
mod error;
mod git;
mod keeping;
mod merge;
mod worktree;

pub use changes::{Changes, ReviewTarget};
pub use error::RepositoryError;
pub use git::Repository;
pub use worktree::{Begin, Extent, Worktree};
