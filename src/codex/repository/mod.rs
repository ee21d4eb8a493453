//! What git says and does for us: the code that a review looks at.
//!
//! Git runs without the variables that would point it at another repository, and asks nobody anything.

mod changes;
mod error;
mod git;

pub use changes::{Changes, ReviewTarget};
pub use error::RepositoryError;
pub use git::Repository;
