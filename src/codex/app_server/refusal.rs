//! What a refusal to open a thread means. Codex uses one code for everything, so its words decide.

use crate::codex::{error::CodexError, turn::ThreadId};

/// Tells a configuration that cannot be read from other refusals.
pub(super) fn configuration(error: CodexError) -> CodexError {
    match error {
        CodexError::Refused { message, .. } if message.contains("failed to load configuration") => {
            CodexError::Configuration { reason: message }
        }
        other => other,
    }
}

/// Sorts a refused resume by its words: Codex uses one code for everything.
pub(super) fn of_resume(error: CodexError, thread: &ThreadId) -> CodexError {
    const UNAVAILABLE: &[&str] = &[
        "no rollout found",
        "failed to read thread",
        "failed to read session metadata",
        "failed to resolve rollout path",
        "failed to load rollout",
        "invalid session id",
        "invalid thread id",
        "thread not found",
        "conversation not found",
        "empty session file",
        "stale path",
        // A record that an older Codex has written on (0.169).
        "failed to resume local thread recorder",
    ];
    let thread = thread.clone();
    match error {
        CodexError::Refused { message, .. } if message.contains("active writer") => {
            CodexError::ActiveWriter { thread }
        }
        CodexError::Refused { message, .. }
            if UNAVAILABLE.iter().any(|known| message.contains(known)) =>
        {
            CodexError::ThreadUnavailable { thread, reason: message }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_thread_that_is_gone_is_unavailable() {
        let thread = ThreadId("t".into());
        let sorted = |message: &str| {
            of_resume(
                CodexError::Refused { method: "thread/resume", message: message.into() },
                &thread,
            )
        };
        assert!(matches!(
            sorted("no rollout found for thread id t"),
            CodexError::ThreadUnavailable { .. }
        ));
        assert!(matches!(
            sorted("thread t already has an active writer"),
            CodexError::ActiveWriter { .. }
        ));
        assert!(matches!(sorted("database is locked"), CodexError::Refused { .. }));
    }
}
