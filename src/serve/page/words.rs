//! Errors of the core in words.

use crate::{
    mcp::{SessionError, UserError, explain},
    web::Said,
};

/// An error of the core in the words that clients get.
pub(in crate::serve) fn explained(error: &SessionError) -> Said {
    let UserError { code, message, next, .. } = explain(error);
    Said { code, message, next }
}

/// The same in one line.
pub fn in_one_line(error: &SessionError) -> String {
    let Said { message, next, .. } = explained(error);
    format!("{message} {next}")
}
