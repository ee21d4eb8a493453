//! What can go wrong with Codex itself. A turn that fails is an outcome, not an error.

use std::path::PathBuf;

use super::{ids::ThreadId, process::ExitCause, rpc::RpcError, version::CodexVersion};

/// Why Codex could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum CodexError {
    /// There is no Codex CLI.
    #[error("no Codex CLI found; looked at {}", searched.join(", "))]
    NotFound {
        /// The places that were tried, in order.
        searched: Vec<String>,
    },
    /// It is older than anything we can drive.
    #[error("Codex {found} at {} is too old", binary.display())]
    TooOld {
        found: CodexVersion,
        /// Where it is.
        binary: PathBuf,
    },
    /// It did not start, or did not answer the handshake.
    #[error("cannot start Codex at {}: {cause}", binary.display())]
    Start {
        /// Where it is.
        binary: PathBuf,
        /// What happened, in words.
        cause: String,
    },
    /// It ended while something was under way.
    #[error("Codex ended unexpectedly: {0}")]
    Exited(ExitCause),
    /// It had ended before it could be asked: nothing was begun.
    #[error("Codex has ended: {0}")]
    NotReached(ExitCause),
    /// It did not answer in time.
    #[error("Codex did not answer `{method}` in time")]
    Timeout {
        /// The request that was left open.
        method: &'static str,
    },
    /// The configured provider needs a login and there is none.
    #[error("Codex is not logged in")]
    NotLoggedIn,
    /// Codex cannot read its own configuration. It would go on with defaults, which are not the user's.
    #[error("{reason}")]
    Configuration {
        /// Codex's words.
        reason: String,
    },
    /// Codex would run what the project names outside of its sandbox, and the user has not said that it may; or it would wait
    /// for something there for ever.
    #[error("{reason}")]
    NotTrusted {
        /// What it is, and what can be done.
        reason: String,
    },
    /// Codex cannot use a setting that came with the call.
    #[error("{reason}")]
    CallConfig {
        /// Codex's words.
        reason: String,
    },
    /// The thread cannot be resumed: no record of it, or not a readable one.
    #[error("thread {thread} cannot be resumed: {reason}")]
    ThreadUnavailable {
        thread: ThreadId,
        /// Codex's words.
        reason: String,
    },
    /// Another process holds the thread.
    #[error("thread {thread} already has an active writer")]
    ActiveWriter { thread: ThreadId },
    /// This version of Codex cannot do it.
    #[error("Codex {version} does not support {what}")]
    Unsupported {
        /// What was asked for.
        what: &'static str,
        /// The Codex there is.
        version: CodexVersion,
    },
    /// Codex refused the request.
    #[error("Codex refused `{method}`: {message}")]
    Refused {
        method: &'static str,
        /// Codex's words.
        message: String,
    },
    /// Codex answered something we cannot read.
    #[error("cannot read Codex's answer to `{method}`")]
    Answer {
        method: &'static str,
        /// What was wrong with the answer.
        #[source]
        source: serde_json::Error,
    },
    /// A request could not be sent.
    #[error("cannot ask Codex for `{method}`")]
    Ask {
        method: &'static str,
        /// Why not.
        #[source]
        source: RpcErrorSource,
    },
    /// Too many others run.
    #[error("as many Codex processes run as may")]
    TooMany,
    /// The file with the API key cannot be read.
    #[error("cannot read the API key in {}", path.display())]
    ApiKey {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// The server is ending and starts nothing new.
    #[error("the server is shutting down")]
    ShuttingDown,
}

/// Keeps the wire's own error type out of the façade.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct RpcErrorSource(#[from] RpcError);
