//! What Codex and the store fail at.

use super::{LEASE_LOST, ToolError, capitalised, chain, sentence};
use crate::session::{CodexError, CodexVersion, store::StoreError};

impl From<&CodexError> for ToolError {
    fn from(error: &CodexError) -> Self {
        let message = sentence(error);
        let (code, next) = match error {
            CodexError::NotFound { .. } => (
                "codex_not_found",
                "Install the Codex CLI (`npm install -g @openai/codex`), or set `CODEX_BIN` to its path.".to_owned(),
            ),
            CodexError::TooOld { .. } => (
                "codex_too_old",
                format!(
                    "Update it (`npm install -g @openai/codex`); this server needs {} or newer.",
                    CodexVersion::MINIMUM
                ),
            ),
            CodexError::Start { binary, .. } => (
                "codex_start_failed",
                format!("Run `{} --version` in a terminal to see what is wrong with it.", binary.display()),
            ),
            CodexError::NotReached(_) => {
                ("codex_exited", "Call again: Codex is started anew; nothing was begun.".to_owned())
            }
            CodexError::Exited(_) => (
                "codex_exited",
                "Call again: Codex is started anew and the session continues. What this call began may \
                 have been done in part."
                    .to_owned(),
            ),
            CodexError::Timeout { .. } => {
                ("codex_timeout", "Call again; if it happens every time, update Codex.".to_owned())
            }
            CodexError::TooMany => (
                "too_much_work",
                "Call again when other work is done; the operator sets how many may run (`codex.processes`)."
                    .to_owned(),
            ),
            CodexError::ApiKey { .. } => {
                ("not_logged_in", "The operator has to write the key into that file.".to_owned())
            }
            CodexError::NotLoggedIn => {
                ("not_logged_in", "Run `codex login` in a terminal, then call again.".to_owned())
            }
            CodexError::ThreadUnavailable { .. } => {
                ("thread_unavailable", "Use `resetSession` to begin anew.".to_owned())
            }
            CodexError::ActiveWriter { .. } => (
                "thread_in_use",
                "Another program has this thread open, such as Codex's own terminal UI or app. Close it \
                 there and call again. Or go on in a copy of it, which `forkSession` makes."
                    .to_owned(),
            ),
            CodexError::Configuration { .. } => (
                "codex_config_invalid",
                "Mend Codex's own configuration file and call again.".to_owned(),
            ),
            CodexError::NotTrusted { .. } => (
                "project_not_trusted",
                "Look at what is named. Remove it, or, where it says how to trust the folder and you do, add the lines to Codex's \
                 own configuration file, or answer `codex` in a terminal there; then call again."
                    .to_owned(),
            ),
            CodexError::CallConfig { .. } => (
                "invalid_argument",
                "Correct the value in `config`, the profile or `reasoningEffort`, or leave it out.".to_owned(),
            ),
            CodexError::Unsupported { .. } => (
                "not_supported",
                "Update Codex (`npm install -g @openai/codex`), or do without.".to_owned(),
            ),
            CodexError::Refused { .. } => (
                "codex_refused",
                "Correct what Codex complains about and call again.".to_owned(),
            ),
            CodexError::ShuttingDown => {
                ("shutting_down", "Call again when the server is back.".to_owned())
            }
            CodexError::Answer { .. } | CodexError::Ask { .. } => return Self::Internal(chain(error)),
        };
        Self::caller(code, message, next)
    }
}

impl From<&StoreError> for ToolError {
    fn from(error: &StoreError) -> Self {
        let (code, next) = match error {
            StoreError::Unavailable { .. } => (
                "store_unavailable",
                "Call again in some 5 seconds. If it stays like this, make the database reachable, or the path writable, \
                 or free some disk space; or start the server with `--store memory`.",
            ),
            StoreError::Older { .. } => (
                "store_too_old",
                "Move the store away, or name another one with `store.path` or `store.url`. Codex keeps its threads: \
                 a call with a `threadId` goes on with one.",
            ),
            StoreError::Newer { .. } => (
                "store_too_new",
                "Update this server, or let it use another store (`store.path`, `store.url`).",
            ),
            StoreError::Damaged { .. } => (
                "session_damaged",
                "Delete it with `deleteSession`. Or use another session; all others work.",
            ),
            StoreError::Corrupt { .. } => (
                "store_corrupt",
                "Move the file away: this server makes a new one at its next call. If it matters, repair a copy \
                 (`sqlite3 FILE .recover`), or name another file (`store.path`).",
            ),
            StoreError::LeaseLost { .. } => ("lease_lost", LEASE_LOST),
            StoreError::CalledOff { .. } => ("cancelled", "Call again."),
            StoreError::Stale { .. } => ("session_changed", "Call again."),
        };
        Self::caller(code, capitalised(chain(error)), next)
    }
}
