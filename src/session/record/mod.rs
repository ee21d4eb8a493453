//! The stored records of sessions, turns and approvals. Plain data; nothing here reads a clock or a store.

mod approval;
#[cfg(test)]
pub(super) mod examples;
mod handshake;
mod items;
mod rollout;
mod server;
mod session;
mod token;
mod turn;
mod worktree;

pub use approval::{AnswerRecord, ApprovalRecord, ApprovalState};
pub use handshake::{ForwardedMessage, HandshakeRecord};
pub use items::RecordedItem;
pub use rollout::{KeptRollout, RolloutPart, RolloutRecord};
pub use server::{SeenServer, ServerRecord, ServerTurn};
pub(crate) use session::after;
pub use session::{ForkedFrom, SessionRecord, SessionStatus};
pub use token::TokenRecord;
pub use turn::{Continuity, Stop, TurnDetails, TurnRecord};
pub use worktree::{WorktreeRecord, WorktreeState};

use super::Settings;
#[cfg(test)]
pub(super) use crate::codex::EffectiveSettings;
pub(super) use crate::codex::{ApprovalId, ThreadId, Usage};
