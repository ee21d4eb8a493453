//! The request for a turn, and its reply.

use std::{
    path::PathBuf,
    sync::{Arc, OnceLock},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::{ReviewStyle, SessionName, SessionStatus, Settings, TurnRecord, WorktreeRequest};
use crate::{
    codex::{Lineage, ThreadOptions},
    git::ReviewTarget,
    system::{compute, heavy},
};

/// One turn to run. Its JSON, with which another server can run it, has no prompt: the record of the turn has that.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is an argument of its own")]
pub struct Request {
    /// The user's prompt. For a review, a description of what is reviewed.
    #[serde(skip)]
    pub prompt: String,
    /// The kind of work.
    pub work: Work,
    /// The settings this call chooses. The session keeps them.
    pub settings: Settings,
    /// Whether to reset the session first.
    pub reset: bool,
    /// What to do when the session is busy.
    pub on_busy: OnBusy,
    /// How long the turn may take. If `None`, the operator's limit applies.
    pub timeout: Option<Duration>,
    /// Whether the calling client can answer approvals.
    pub can_ask: bool,
    /// Whether to keep neither session nor thread.
    pub ephemeral: bool,
    /// How the thread differs from the user's own Codex configuration, for this call only.
    pub options: ThreadOptions,
    /// What the session's worktree is to begin with, if the turn makes one.
    pub worktree: WorktreeRequest,
    /// Whether the turn goes on when its call is cancelled or its client goes away.
    pub detached: bool,
    /// Whether a call that repeats an earlier one, of which nobody has the answer, gets that one's turn.
    pub joins: bool,
    /// What the tool that was called adds to the result for its own clients. It is kept with the turn.
    pub beside: Map<String, Value>,
    /// Where the call comes from.
    pub origin: Origin,
    /// The digest of all this, where it is needed.
    pub content: ContentDigest,
}

fn in_words(content: &str) -> String {
    let digest = Sha256::digest(content);
    let words = digest.iter().take(16).map(|byte| format!("{byte:02x}"));
    words.collect::<Vec<_>>().concat()
}

/// The digest of all that a call asks for, once it is computed. Clones share it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(from = "Option<String>", into = "Option<String>")]
pub struct ContentDigest(Arc<OnceLock<String>>);

impl From<Option<String>> for ContentDigest {
    fn from(known: Option<String>) -> Self {
        Self(Arc::new(known.map_or_else(OnceLock::new, OnceLock::from)))
    }
}

impl From<ContentDigest> for Option<String> {
    fn from(ContentDigest(known): ContentDigest) -> Self {
        known.get().cloned()
    }
}

/// It follows from the rest of the call.
impl PartialEq for ContentDigest {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// Tells a call from every other one: all that its turn depends on, as one word. A call that is made again has the
/// same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CallDigest(String);

/// Where a call comes from. Empty if its client is the program that started this server.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Origin {
    /// Where the client works; relative paths are below it, and Codex works there if nobody says otherwise.
    pub directory: Option<PathBuf>,
    /// The client's process, if it is on this machine.
    #[serde(skip)]
    pub process: Option<u32>,
    /// Whether that was started by a Codex of a server like this one, once somebody has looked. Clones share it.
    #[serde(skip)]
    nested: Arc<OnceLock<bool>>,
}

impl Origin {
    /// The origin of calls of one client.
    pub fn new(directory: PathBuf, process: Option<u32>) -> Self {
        Self { directory: Some(directory), process, nested: Arc::default() }
    }

    /// Whether its client is nested, which `inspect` finds out. What it cannot tell it is asked again.
    pub(super) fn is_nested(&self, inspect: impl FnOnce() -> Lineage) -> bool {
        if let Some(known) = self.nested.get() {
            return *known;
        }
        let lineage = inspect();
        if lineage != Lineage::Unknown {
            let _ = self.nested.set(!lineage.is_trusted());
        }
        !lineage.is_trusted()
    }
}

/// The kinds of work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Work {
    /// Any work the prompt asks for.
    Ask {
        /// Absolute paths of images to send with the prompt.
        images: Vec<PathBuf>,
        /// The JSON schema that the answer must fit, if any.
        output_schema: Option<Value>,
    },
    /// A code review, which is complete or fails. Read-only, whatever the session's settings are.
    Review {
        /// The code to review.
        target: ReviewTarget,
        /// Only these files and folders of it. If empty, all.
        paths: Vec<String>,
        /// What to look for in particular, if anything.
        focus: Option<String>,
        /// How to go about it.
        style: ReviewStyle,
    },
    /// A web search. Read-only too.
    Search,
}

/// What to do when the session is running a turn already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum OnBusy {
    /// Wait, in the order of the calls.
    #[default]
    Queue,
    /// Steer the running turn with the prompt.
    Steer,
    /// Fail.
    Reject,
}

/// The turn of a call, over or still running.
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
        !matches!(self.turn.status, SessionStatus::Queued | SessionStatus::Running)
    }
}

impl Request {
    /// A prompt with default settings.
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
            worktree: WorktreeRequest::default(),
            detached: false,
            joins: false,
            beside: Map::new(),
            origin: Origin::default(),
            content: ContentDigest::default(),
        }
    }

    /// The digest of the call, as one to this session. None if repeating it could not mean the same turn.
    pub(super) fn digest(&self, session: &SessionName) -> Option<CallDigest> {
        if self.reset || self.ephemeral {
            return None;
        }
        let content = self.content.0.get_or_init(|| self.digest_of_content());
        Some(CallDigest(in_words(&format!("{:?}", (session, content)))))
    }

    /// Computes what [`Request::digest`] needs on a thread for that, if there is much of it: a schema and a prompt can be
    /// megabytes. Nothing may be changed after that.
    pub(super) async fn prepare_digest(&self) {
        let schema = match &self.work {
            Work::Ask { output_schema, .. } => output_schema.is_some(),
            Work::Review { .. } | Work::Search => false,
        };
        if schema || heavy(self.prompt.len()) {
            let request = self.clone();
            // Else it is computed where it is needed.
            let _ = compute(move || {
                request.content.0.get_or_init(|| request.digest_of_content());
            })
            .await;
        }
    }

    fn digest_of_content(&self) -> String {
        let Self { prompt, work, settings, options, .. } = self;
        in_words(&format!("{:?}", (prompt, work, settings, options)))
    }

    /// Whether the work is read-only: Codex runs it in a read-only sandbox and asks for no approvals.
    pub(super) fn only_looks(&self) -> bool {
        !matches!(self.work, Work::Ask { .. })
    }
}
