//! What is asked of a session, and what comes back.

use std::{path::PathBuf, time::Duration};

use serde_json::Value;

use super::{SessionName, SessionStatus, Settings, TurnRecord};
use crate::codex::{ReviewTarget, ThreadOptions, TurnWork};

/// One turn to run.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// What the user says; of a review, what it is about, in words.
    pub prompt: String,
    /// What kind of work it is.
    pub work: Work,
    /// What this call chooses; it stays with the session.
    pub settings: Settings,
    /// Whether to forget the conversation first.
    pub reset: bool,
    /// What to do when the session is busy.
    pub on_busy: OnBusy,
    /// How long the turn may take; the operator's limit if none.
    pub timeout: Option<Duration>,
    /// Whether somebody can be asked what Codex asks.
    pub can_ask: bool,
    /// Whether nothing of it is kept: no session, no thread.
    pub ephemeral: bool,
    /// How the turn's thread shall differ from the user's own configuration; for this call only.
    pub options: ThreadOptions,
}

/// The kinds of work.
#[derive(Debug, Clone, PartialEq)]
pub enum Work {
    /// Whatever the prompt says.
    Ask {
        /// Images that go with it; absolute paths.
        images: Vec<PathBuf>,
        /// The JSON schema of the answer, if it must have one.
        output_schema: Option<Value>,
    },
    /// A review, by Codex's own. It only looks, whatever the session may do otherwise.
    Review {
        /// The code it is about.
        code: ReviewTarget,
        /// What to look for, if anything special.
        instructions: Option<String>,
    },
    /// A search. It only looks too.
    Search,
}

/// What to do when the session is running a turn already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnBusy {
    /// Wait for it, in the order of the calls.
    #[default]
    Queue,
    /// Say it to the running turn.
    Steer,
    /// Do nothing.
    Reject,
}

/// What came of a call: its turn, over or still running.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// The session it ran in.
    pub session: SessionName,
    /// The turn, as it is recorded.
    pub turn: TurnRecord,
}

impl Reply {
    /// Whether the turn is over.
    pub fn is_over(&self) -> bool {
        self.turn.status != SessionStatus::Running
    }
}

impl Request {
    /// A prompt with nothing special about it.
    pub fn ask(prompt: impl Into<String>) -> Self {
        Self {
            prompt: prompt.into(),
            work: Work::Ask { images: Vec::new(), output_schema: None },
            settings: Settings::default(),
            reset: false,
            on_busy: OnBusy::default(),
            timeout: None,
            can_ask: false,
            ephemeral: false,
            options: ThreadOptions::default(),
        }
    }

    /// What the turn is to do, with this as the prompt.
    pub(super) fn turn_work(&self, prompt: String) -> TurnWork {
        match &self.work {
            Work::Ask { images, output_schema } => TurnWork::Prompt {
                text: prompt,
                images: images.clone(),
                output_schema: output_schema.clone(),
            },
            Work::Search => {
                TurnWork::Prompt { text: prompt, images: Vec::new(), output_schema: None }
            }
            Work::Review { code, instructions } => {
                TurnWork::Review(code.clone().with(instructions.as_deref()))
            }
        }
    }

    /// Whether it only looks: its sandbox is read-only, and nobody is asked for more.
    pub(super) fn only_looks(&self) -> bool {
        !matches!(self.work, Work::Ask { .. })
    }
}
