//! The stored record of an approval: what Codex asks, its deadline, and who answered.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    codex::{Answer, Approval},
    session::SessionName,
};

/// An approval that Codex asks for in a turn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalRecord {
    pub session: SessionName,
    /// The number of the turn.
    pub turn: u32,
    /// The approval, with its id and the connection to Codex that it came from.
    pub approval: Approval,
    /// When Codex asked.
    pub asked_at: Timestamp,
    /// When it is declined if nobody has answered.
    pub deadline: Timestamp,
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
    /// The decision, and what was filled in.
    pub answer: Answer,
    /// Who answered: a client's name, `terminal`, or this server itself.
    pub by: String,
    /// A remark for the turn's record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remark: Option<String>,
}

/// The state of an approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ApprovalState {
    /// Codex waits for an answer.
    #[default]
    Open,
    /// There is an answer, but Codex does not have it yet.
    Answered,
    /// Codex has its answer.
    Settled,
    /// Codex needs no answer any more.
    Withdrawn,
    /// Nobody could answer or did in time, or its turn or server ended before Codex had an answer.
    Expired,
}

impl ApprovalState {
    /// The state as the store spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Answered => "answered",
            Self::Settled => "settled",
            Self::Withdrawn => "withdrawn",
            Self::Expired => "expired",
        }
    }

    /// Whether an approval can change from the state `from` to this one.
    pub fn can_follow(self, from: Self) -> bool {
        match self {
            Self::Open => false,
            Self::Answered | Self::Expired => from == Self::Open,
            Self::Settled => from == Self::Answered,
            Self::Withdrawn => !from.is_settled(),
        }
    }

    /// Whether the state is final.
    pub fn is_settled(self) -> bool {
        matches!(self, Self::Settled | Self::Withdrawn | Self::Expired)
    }
}
