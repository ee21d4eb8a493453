//! Who looks at the page, and at whose sessions.

use std::{fmt, path::PathBuf};

use axum::{
    extract::FromRequestParts,
    http::{StatusCode, request::Parts},
};

use tokio_util::sync::CancellationToken;

use super::failure::{Failure, Said};
use crate::session::{SessionError, Sessions, Verb};

/// Says what an error means and what to do about it.
pub type Explain = fn(&SessionError) -> Said;

/// Who looks. Whoever serves the page puts one into each request that may come in.
#[derive(Clone)]
pub struct Viewer {
    /// The sessions that are shown, and what may be done with them.
    pub sessions: Sessions,
    /// What to call this person in the record of an approval.
    pub name: String,
    /// Where work begins that names no directory. `None` for where the server works.
    pub directory: Option<PathBuf>,
    /// Whether there is a login to end.
    pub may_leave: bool,
    /// Cancelled when what only listens is to end.
    pub ending: CancellationToken,
    /// Puts errors into words.
    pub explain: Explain,
}

impl fmt::Debug for Viewer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, sessions, .. } = self;
        let scope = sessions.caller().scope;
        f.debug_struct("Viewer").field("name", name).field("scope", &scope).finish_non_exhaustive()
    }
}

impl Viewer {
    /// Whether turns may be begun, stopped and answered.
    pub(super) fn may_run(&self) -> bool {
        self.sessions.caller().may(Verb::Ask)
    }

    /// Fails if this may not be done.
    pub(super) fn allows(&self, verb: Verb) -> Result<(), Failure> {
        if self.sessions.caller().may(verb) {
            return Ok(());
        }
        let message = format!("This needs the scope `{}`.", verb.needs().as_str());
        let next = "Log in with a token that has it.".to_owned();
        let said = Said { code: "insufficient_scope", message, next };
        Err(Failure { status: StatusCode::FORBIDDEN, said })
    }

    /// An error of the core, in words.
    pub(super) fn failure(&self, error: &SessionError) -> Failure {
        Failure { status: Failure::status_of(error), said: (self.explain)(error) }
    }
}

impl<S: Sync> FromRequestParts<S> for Viewer {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Failure> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| Failure {
            status: StatusCode::UNAUTHORIZED,
            said: Said {
                code: "unauthorized",
                message: "Nobody is logged in.".to_owned(),
                next: "Open the page's own address, and log in there.".to_owned(),
            },
        })
    }
}
