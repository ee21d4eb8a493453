//! How sessions behave, as the operator wants it.

use std::{path::PathBuf, time::Duration};

use super::Settings;
use crate::codex::Sandbox;

/// The operator's choices.
#[derive(Debug, Clone)]
pub struct SessionConfig {
    /// How long a session lives after its last use.
    pub ttl: Duration,
    /// How many live at once.
    pub cap: usize,
    /// How long a thread stays loaded after its turn, for a next turn to find it warm.
    pub release_after: Duration,
    /// How many of the last turns a rebuilt context holds.
    pub rebuild_turns: u32,
    /// How many bytes it holds at most.
    pub rebuild_bytes: usize,
    /// How long a turn may take, unless its call says.
    pub turn_timeout: Option<Duration>,
    /// How long Codex may say nothing in a turn.
    pub turn_silence: Duration,
    /// How long a question of Codex waits for an answer.
    pub question_patience: Duration,
    /// The longest prompt, in characters.
    pub max_prompt: usize,
    /// What holds where neither call nor session says.
    pub defaults: Settings,
    /// Where commands run if nobody says: where the server was started.
    pub directory: PathBuf,
    /// The widest sandbox a call may ask for.
    pub sandbox_ceiling: Sandbox,
}
