//! How long clients wait for the answer to a call, so that each gets one before it gives up.

use std::time::Duration;

/// The timeout of a client that is not in the list. Most libraries have this default.
const UNKNOWN: Duration = Duration::from_mins(1);

/// The name of our own command line as a client. It has no timeout, because its user can see it wait.
pub const TERMINAL: &str = "terminal";

/// Clients by their exact name, as observed: their timeout, and whether progress extends it. `None`
/// if they wait longer than any turn takes.
const KNOWN: &[(&str, Option<Duration>, bool)] = &[
    (TERMINAL, None, true),
    ("claude-code", None, true),
    ("codex-mcp-client", Some(Duration::from_mins(5)), false),
    ("gemini-cli-mcp-client", Some(Duration::from_mins(10)), false),
    ("opencode", Some(Duration::from_mins(1)), true),
];

/// How long a call may take before its turn goes on without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CallTimeout {
    /// For calls that ask for nothing else. `None` if there is no limit.
    usual: Option<Duration>,
    /// For calls that ask for more than this.
    hard: Option<Duration>,
}

impl CallTimeout {
    /// The timeout for calls of a client: the operator's, else the one in our environment, else the one after which it was
    /// `seen` to give up, else the one known for that client. `resets` is whether this call is sent progress.
    pub(super) fn of(
        client: &str,
        resets: bool,
        operator: Option<Duration>,
        environment: Option<Duration>,
        seen: Option<Duration>,
    ) -> Self {
        let same = |limit| Self { usual: limit, hard: limit };
        if operator.is_some() {
            return same(operator);
        }
        if let Some(limit) = environment {
            return same(Some(in_time(limit)));
        }
        if let Some(limit) = seen {
            return same(Some(in_time(limit)));
        }
        match KNOWN.iter().find(|(name, ..)| client == *name) {
            Some((_, Some(limit), extends)) if !(*extends && resets) => same(Some(in_time(*limit))),
            Some(_) => same(None),
            None => Self { usual: Some(in_time(UNKNOWN)), hard: None },
        }
    }

    /// The timeout of a call that asks for `asked`.
    pub(super) fn limit(self, asked: Option<Duration>) -> Option<Duration> {
        match (asked, self.hard) {
            (Some(asked), Some(hard)) => Some(asked.min(hard)),
            (Some(asked), None) => Some(asked),
            (None, _) => self.usual,
        }
    }
}

/// A moment before the limit, so that the answer arrives in time.
fn in_time(limit: Duration) -> Duration {
    limit.saturating_sub((limit / 6).min(Duration::from_secs(15)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(timeout: CallTimeout, asked: Option<u64>) -> Option<u64> {
        timeout.limit(asked.map(Duration::from_secs)).map(|limit| limit.as_secs())
    }

    #[test]
    fn a_call_is_over_before_its_client_gives_up() {
        let of = |client, resets| CallTimeout::of(client, resets, None, None, None);
        assert_eq!(seconds(of("claude-code", true), None), None);
        assert_eq!(seconds(of("codex-mcp-client", true), None), Some(285));
        assert_eq!(seconds(of("codex-mcp-client", true), Some(900)), Some(285));
        assert_eq!(seconds(of("gemini-cli-mcp-client", true), Some(5)), Some(5));
        assert_eq!(seconds(of("opencode", true), None), None);
        assert_eq!(seconds(of("opencode", false), None), Some(50));
        // Whoever asks for longer knows their client better than we do.
        assert_eq!(seconds(of("", false), None), Some(50));
        assert_eq!(seconds(of("", false), Some(120)), Some(120));
        // Mastra and OpenAI Agents say what their user calls the server.
        assert_eq!(seconds(of("codex", false), None), Some(50));
    }

    #[test]
    fn the_operator_and_the_environment_know_better() {
        let limit = |secs| Some(Duration::from_secs(secs));
        let environment = CallTimeout::of("claude-code", true, None, limit(30), limit(5));
        assert_eq!(seconds(environment, None), Some(25));
        assert_eq!(seconds(environment, Some(100)), Some(25));
        let seen = CallTimeout::of("claude-code", true, None, None, limit(30));
        assert_eq!((seconds(seen, None), seconds(seen, Some(100))), (Some(25), Some(25)));
        assert_eq!(
            seconds(CallTimeout::of("x", true, limit(7), limit(30), None), Some(9)),
            Some(7)
        );
    }
}
