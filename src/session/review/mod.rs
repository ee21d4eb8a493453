//! Reviews: what the model is asked, what it answers, and whether that is about what has changed. Pure.
//!
//! A review is a turn whose answer must fit a schema. It is complete or it is an error: an answer that cannot be read
//! is never "nothing was found".

mod answer;
mod diff;
mod finding;
mod prompt;

pub(super) use answer::{read, schema};
pub(super) use diff::ChangedLines;
pub use finding::{Finding, Severity, Verdict};
pub use prompt::ReviewStyle;
pub(super) use prompt::prompt;
