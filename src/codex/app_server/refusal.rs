//! What a refusal to open a thread means. Codex uses one code for everything, so its words decide.

use crate::codex::{error::CodexError, ids::ThreadId, settings::ThreadSettings};

/// How Codex begins to speak of a configuration it cannot read.
const CONFIGURATION: &[&str] = &[
    "failed to load configuration",
    "failed to read configuration layers",
    "invalid configuration",
    // Up to 0.98 or so.
    "error deriving config",
];

/// Tells a configuration that cannot be read from other refusals.
pub(super) fn configuration(error: CodexError) -> CodexError {
    match error {
        CodexError::Refused { message, .. }
            if CONFIGURATION.iter().any(|words| message.contains(words)) =>
        {
            CodexError::Configuration { reason: message }
        }
        other => other,
    }
}

/// The same for a thread opened with `settings`: a value that stands in no file comes from these.
pub(super) fn of_settings(error: CodexError, settings: &ThreadSettings) -> CodexError {
    let has_own = settings.effort.is_some() || !settings.options.keys().is_empty();
    match configuration(error) {
        // Codex names the file and the line of what it finds in one.
        CodexError::Configuration { reason } if has_own && !reason.contains(".toml:") => {
            CodexError::CallConfig { reason }
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
    fn a_bad_value_of_a_call_is_told_from_a_bad_file() {
        use crate::codex::settings::{ApprovalPolicy, Sandbox, ThreadOptions};

        let settings = |effort: Option<&str>| ThreadSettings {
            cwd: "/w".into(),
            model: None,
            effort: effort.map(str::to_owned),
            sandbox: Sandbox::ReadOnly,
            approval_policy: ApprovalPolicy::Never,
            ephemeral: false,
            options: ThreadOptions::default(),
        };
        let sorted = |message: &str, effort| {
            let error = CodexError::Refused { method: "thread/start", message: message.into() };
            of_settings(error, &settings(effort))
        };
        let value = "failed to load configuration: unknown variant `bogus`\nin `web_search`\n";
        let file = "error deriving config: /h/.codex/config.toml:1:11: unclosed array";
        assert!(matches!(sorted(value, Some("low")), CodexError::CallConfig { .. }));
        assert!(matches!(sorted(value, None), CodexError::Configuration { .. }));
        assert!(matches!(sorted(file, Some("low")), CodexError::Configuration { .. }));
        assert!(matches!(sorted("database is locked", None), CodexError::Refused { .. }));
    }

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
