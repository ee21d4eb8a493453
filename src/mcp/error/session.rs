//! What the core refuses.

use super::{ToolError, sentence};
use crate::session::{RepositoryError, SessionError};

/// Something was put in place of a directory.
const MOVED: (&str, &str) = (
    "directory_moved",
    "Look at what has been put in its place. If it is right, pass `workingDirectory` (or `writableRoots`) again.",
);

/// For what a Codex of ours has started.
const RECURSION: (&str, &str) = (
    "recursion",
    "Codex cannot ask itself through its own MCP server, and what it starts decides nothing there: do it in this \
     conversation. To stop offering it, disable this server for Codex (`codex.mcp_servers` of the outer one).",
);

/// What to do about a turn that the next server runs.
const LEFT_TO_OTHERS: &str =
    "Do not call again: use `wait` with that turn when the server is back.";

impl From<&SessionError> for ToolError {
    fn from(error: &SessionError) -> Self {
        let message = sentence(error);
        let (code, next) = match error {
            SessionError::Scope { has, needed } => return Self::scope(*has, *needed),
            SessionError::Codex(error) => return error.into(),
            SessionError::Store(error) => return error.into(),
            SessionError::Unknown { .. } => (
                "unknown_session",
                "Use `listSessions` for the names there are. Sessions expire when they are not used.",
            ),
            SessionError::Busy { .. } => (
                "session_busy",
                "Wait for its turn with `wait`. Stop it with `interrupt`. Or use another session.",
            ),
            SessionError::Idle { .. } => {
                ("session_idle", "Use `codex` to ask something. `getSession` shows what was said.")
            }
            SessionError::NoTurn { .. } => {
                ("unknown_turn", "Leave `turn` out for the one that is running, else the last.")
            }
            SessionError::NotSteered { .. } => {
                ("not_steered", "Use `codex` to ask again, or `wait` for its turn.")
            }
            SessionError::SteerUnconfirmed { .. } => (
                "steer_unconfirmed",
                "Do not say it again before you have looked: `wait` gets the turn's answer, which shows whether it \
                 was heard.",
            ),
            SessionError::Cancelled => ("cancelled", "Call again if the answer is still wanted."),
            SessionError::ApprovalExpired { .. } => (
                "question_expired",
                "It was answered already, its time is over, or its turn has ended. Use `wait` to learn what became \
                 of the turn.",
            ),
            SessionError::DecisionNotOffered { .. } => {
                ("decision_not_offered", "Answer with one of those decisions.")
            }
            SessionError::EffortRefused { .. }
            | SessionError::PromptEmpty
            | SessionError::PromptTooLong { .. }
            | SessionError::Image { .. }
            | SessionError::TooManyImages { .. }
            | SessionError::Schema { .. } => return Self::refused_argument(error, &message),
            SessionError::QueueFull { .. } => {
                ("session_busy", "Wait for the calls that are under way, or use another session.")
            }
            SessionError::Full { .. } => (
                "too_many_sessions",
                "Wait until a turn is over. The operator can raise `session.cap`.",
            ),
            SessionError::Directory { .. } => (
                "directory_unusable",
                "Pass a `workingDirectory` that exists and can be read; an absolute path is best.",
            ),
            SessionError::Moved { .. } => MOVED,
            SessionError::SandboxAboveCeiling { .. } => (
                "sandbox_not_allowed",
                "Use a narrower `sandbox`. The operator can raise `limits.sandbox_ceiling`.",
            ),
            SessionError::OutsideRoots { .. } => (
                "directory_not_allowed",
                "Use a path below an allowed directory. `help` lists them. The operator sets `limits.roots`.",
            ),
            SessionError::ModelNotAllowed { .. } => (
                "model_not_allowed",
                "Use one of those, or leave `model` out. The operator sets `limits.models`.",
            ),
            SessionError::ConfigNotAllowed { .. } => (
                "config_not_allowed",
                "Leave it out; for sandbox, approvals, model and directory use their own arguments. The \
                 operator sets `limits.config_keys`.",
            ),
            SessionError::Worktree { .. }
            | SessionError::NoWorktree { .. }
            | SessionError::WorktreeGone { .. }
            | SessionError::OtherUser
            | SessionError::Unapplied { .. } => of_worktree(error),
            SessionError::NotAllowed { setting, .. } => {
                let next = format!("Do without. The operator allows it with `{setting}`.");
                return Self::caller("not_allowed", message, next);
            }
            SessionError::UsageLimit { until, .. } => {
                return Self::caller("usage_limit", message, after_limit(*until)).again_at(*until);
            }
            SessionError::TooMuchWork { .. } => (
                "too_much_work",
                "Wait until a turn is over (`listSessions` shows which run), or stop one with `interrupt`.",
            ),
            SessionError::DayUsedUp { until, .. } => {
                let next = format!("Call again after {until}. `usage` shows what was used.");
                return Self::caller("quota_exceeded", message, next).again_at(Some(*until));
            }
            SessionError::Repository(error) => of_repository(error),
            SessionError::Nested => RECURSION,
            SessionError::Taken { .. } => ("session_exists", "Pick another name."),
            SessionError::ShuttingDown => ("shutting_down", "Call again when the server is back."),
            SessionError::LeftToOthers { .. } => ("shutting_down", LEFT_TO_OTHERS),
        };
        Self::caller(code, message, next)
    }
}

impl ToolError {
    /// The error of one argument whose value cannot be used.
    fn refused_argument(error: &SessionError, message: &str) -> Self {
        let reason = message.trim_end_matches('.');
        match error {
            SessionError::EffortRefused { .. } => Self::argument("reasoningEffort", reason),
            SessionError::Schema { .. } => Self::argument("outputSchema", reason),
            SessionError::PromptEmpty => {
                Self::argument("prompt", "it is empty; say what Codex shall do")
            }
            SessionError::PromptTooLong { length, limit } => {
                let reason = format!(
                    "with instructions, paths, schema and what the turn was given before it has {length} characters, \
                     {limit} are allowed; put long material into a file in the \
                     working directory and name the file"
                );
                Self::argument("prompt", &reason)
            }
            _ => Self::argument("images", reason),
        }
    }
}

fn of_worktree(error: &SessionError) -> (&'static str, &'static str) {
    match error {
        SessionError::OtherUser => (
            "not_supported",
            "Ask `codex` for a review in words, or to make a worktree itself: it can run git there.",
        ),
        SessionError::NoWorktree { .. } => {
            ("no_worktree", "Only sessions begun with `worktree: true` have one; `codex` makes it.")
        }
        SessionError::WorktreeGone { .. } => (
            "worktree_gone",
            "What was committed is still on its branch. If you have moved the repository, move it back. Else use `worktree` with action discard; then `codex` with \
             worktree true makes a new one.",
        ),
        SessionError::Unapplied { .. } => (
            "unapplied_work",
            "Use `worktree` with action apply first. Or call again with `force: true` to throw it away.",
        ),
        _ => (
            "worktree_unusable",
            "Use another session for that, or `worktree` with action apply or discard first.",
        ),
    }
}

/// What to do when too little of the allowance is left.
fn after_limit(until: Option<jiff::Timestamp>) -> String {
    let when = until.map_or_else(|| "later".to_owned(), |until| format!("after {until}"));
    format!(
        "Call again {when}. `usage` shows what is left. The operator sets `limits.min_remaining`, and \
         `limits.when_exhausted` to have turns wait."
    )
}

fn of_repository(error: &RepositoryError) -> (&'static str, &'static str) {
    match error {
        RepositoryError::None(_) => {
            ("not_a_repository", "Pass the `workingDirectory` of a git repository.")
        }
        RepositoryError::Unknown { .. } => (
            "unknown_revision",
            "Check the name with `git branch -a` or `git log`, and fetch it if it is in another repository.",
        ),
        RepositoryError::Unchanged(_) => {
            ("nothing_to_review", "Change something, or review a `base` or a `commit` instead.")
        }
        RepositoryError::TooLarge { .. } => (
            "review_too_large",
            "Review it in parts: some `paths` at a time, a `commit` at a time, or against a nearer `base`. The \
             operator can raise `limits.review_bytes`.",
        ),
        RepositoryError::Nested { .. } => (
            "nested_repository",
            "Git keeps nothing of what is in there. Have its files moved out of it or its `.git` removed, or have it \
             ignored by a .gitignore.",
        ),
        RepositoryError::NoCommits(_) => {
            ("no_commits", "Commit something first: a worktree begins with a commit.")
        }
        RepositoryError::Conflicts { .. } => (
            "worktree_conflicts",
            "Nothing was changed. Have the session bring its changes in line with the files as they are here, or \
             merge its branch by hand; then apply again.",
        ),
        RepositoryError::InUse { .. } => (
            "repository_in_use",
            "Nothing was changed. Apply again when that is done; if no git runs there, remove the file that is named.",
        ),
        RepositoryError::HalfWritten { .. } => (
            "half_written",
            "All other files are as they were. Look at those that are named, and take the old content from where it is \
             said to be; then apply again.",
        ),
        RepositoryError::Failed { .. } => (
            "git_failed",
            "Run the same in a terminal to see what is wrong with git or the repository.",
        ),
    }
}
