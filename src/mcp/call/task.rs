//! A call as a task of the extension `io.modelcontextprotocol/tasks` (SEP-2663): its client asks how far it is instead of
//! waiting for the answer. Pure.
//!
//! A task is a turn. Its id names the turn, so every server on the store knows it, also one that was started later.

use std::{fmt, str::FromStr, time::Duration};

use jiff::Timestamp;
use rmcp::model::{CreateTaskResult, JsonObject, MetaObject, Task, TaskStatus};
use serde_json::json;

use crate::session::{SessionName, SessionRecord, TurnRecord};

/// The longest id that clients take, in characters.
const LONGEST: usize = 128;

/// What stands between the parts of an id. No name of a session has it.
const SEPARATOR: char = ':';

/// The last part of the id of a task whose call repeated an earlier one.
const JOINED: &str = "joined";

/// The key under which Claude Code reads what to tell its model at once.
const AGENT_TASK: &str = "com.anthropic/agent-task";

/// Which turn a task is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::mcp) struct TaskId {
    pub(in crate::mcp) session: SessionName,
    pub(in crate::mcp) turn: u32,
    /// Whether its call repeated an earlier one.
    pub(in crate::mcp) joined: bool,
}

impl TaskId {
    /// The id of a turn. None if its session's name is too long for clients.
    pub(super) fn new(session: SessionName, turn: u32, joined: bool) -> Option<Self> {
        Some(Self { session, turn, joined }).filter(|id| id.to_string().len() <= LONGEST)
    }

    /// The answer to a call that has become this task.
    pub(super) fn created(self, since: Timestamp, ttl: Duration) -> CreateTaskResult {
        let Self { session, turn, .. } = &self;
        let now = format!(
            "Turn {turn} of session `{session}` is under way as a task; its answer comes by itself. `wait` with \
             sessionId `{session}` and turn {turn} gets it as well, `steer` adds something to it, `interrupt` stops it."
        );
        let note = JsonObject::from_iter([(
            AGENT_TASK.to_owned(),
            json!({"modelImmediateResponse": now}),
        )]);
        let message = format!("Turn {turn} of session {session} is running.");
        let task = task(&self, TaskStatus::Working, since, since, ttl).with_status_message(message);
        CreateTaskResult::new(task).with_meta(MetaObject(note))
    }

    /// How a turn is, as a task. `message` says it in words.
    pub(in crate::mcp) fn task(
        &self,
        status: TaskStatus,
        session: &SessionRecord,
        turn: &TurnRecord,
        message: String,
    ) -> Task {
        let lives = session.expires_at.duration_since(turn.timestamp).unsigned_abs();
        let updated =
            if status.is_terminal() { session.last_accessed_at } else { Timestamp::now() };
        task(self, status, turn.timestamp, updated, lives).with_status_message(message)
    }
}

fn task(
    id: &TaskId,
    status: TaskStatus,
    created: Timestamp,
    updated: Timestamp,
    ttl: Duration,
) -> Task {
    // As exact as the record has them, so that every server says the same.
    let exact = |at: Timestamp| {
        Timestamp::from_millisecond(at.as_millisecond()).unwrap_or_default().to_string()
    };
    let age = Timestamp::now().duration_since(created).unsigned_abs();
    let pause = match age.as_secs() {
        0..30 => 1_000,
        30..300 => 2_000,
        _ => 5_000,
    };
    Task::new(id.to_string(), status, exact(created), exact(updated.max(created)))
        .with_ttl_ms(u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX))
        .with_poll_interval_ms(pause)
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{SEPARATOR}{}", self.session, self.turn)?;
        if self.joined { write!(f, "{SEPARATOR}{JOINED}") } else { Ok(()) }
    }
}

impl FromStr for TaskId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.split(SEPARATOR);
        let session = parts.next().and_then(|name| name.parse().ok()).ok_or(())?;
        let turn = parts.next().and_then(|number| number.parse().ok()).ok_or(())?;
        let joined = match parts.next() {
            None => false,
            Some(JOINED) => true,
            Some(_) => return Err(()),
        };
        if turn == 0 || parts.next().is_some() {
            return Err(());
        }
        Ok(Self { session, turn, joined })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_names_its_turn_and_fits() {
        let name = |text: &str| text.parse::<SessionName>().unwrap();
        for joined in [false, true] {
            let id = TaskId::new(name("auth-review"), 3, joined).unwrap();
            assert_eq!(id.to_string().parse(), Ok(id));
        }
        assert!(TaskId::new(name(&"n".repeat(200)), 1, false).is_none());
        for odd in ["", "s", "s:", "s:x", "s:0", "s:1:", "s:1:joined:", "s:1:left", "a b:1", ":1"] {
            assert!(odd.parse::<TaskId>().is_err(), "{odd}");
        }
    }
}
