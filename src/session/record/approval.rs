//! What is kept of an approval: what Codex asks, until when, and who answered.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    codex::{Answer, Approval},
    session::SessionName,
};

/// Something Codex waits for in a turn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalRecord {
    /// The session.
    pub session: SessionName,
    /// The number of the turn.
    pub turn: u32,
    /// What is asked, with its id and the connection to Codex that asked.
    pub approval: Approval,
    /// When Codex asked.
    pub asked_at: Timestamp,
    /// When it is declined unless somebody answers.
    pub deadline: Timestamp,
    /// How far it is.
    #[serde(default)]
    pub state: ApprovalState,
    /// The answer, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<AnswerRecord>,
}

/// An answer, and who gave it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AnswerRecord {
    /// What was decided and filled in.
    pub answer: Answer,
    /// Who answered: a client's name, `terminal`, or this server itself.
    pub by: String,
    /// What the turn's record shall say about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remark: Option<String>,
}

/// How far an approval is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ApprovalState {
    /// Codex waits for an answer.
    #[default]
    Open,
    /// There is an answer, which Codex has not been given yet.
    Answered,
    /// Codex has its answer.
    Settled,
    /// Codex needs no answer any more.
    Withdrawn,
    /// Its turn or its server ended before anybody answered.
    Expired,
}

impl ApprovalState {
    /// The word for it in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Answered => "answered",
            Self::Settled => "settled",
            Self::Withdrawn => "withdrawn",
            Self::Expired => "expired",
        }
    }

    /// Whether an approval in the state `from` can come to this one.
    pub fn can_follow(self, from: Self) -> bool {
        match self {
            Self::Open => false,
            Self::Answered | Self::Expired => from == Self::Open,
            Self::Settled => from == Self::Answered,
            Self::Withdrawn => !from.is_settled(),
        }
    }

    /// Whether nothing can change it any more.
    pub fn is_settled(self) -> bool {
        matches!(self, Self::Settled | Self::Withdrawn | Self::Expired)
    }
}
