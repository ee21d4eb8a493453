//! A turn: changes of its items while it runs, one outcome at its end. It does not know which engine runs it.

mod driver;
mod failure;
mod fold;
mod handle;
mod inbox;
mod item;
mod trust;

pub(crate) use driver::Driver;
pub use failure::{FailureKind, TurnFailure};
pub(crate) use fold::Fold;
pub(crate) use handle::Begun;
pub use handle::{Interrupted, Turn};
pub(crate) use inbox::{Inbox, Outlet, ThreadEvent, inbox};

pub use item::{ChangedFile, CommandRun, FileChange, ItemKey, ItemState, PlannedStep, TurnItem};
pub(crate) use trust::Trust;

use super::{
    approval::{Approval, ApprovalId},
    ids::{ThreadId, TurnId},
    usage::Usage,
};

/// What happens while a turn runs. The last one is always [`TurnEvent::Ended`].
#[derive(Debug, Clone, PartialEq)]
pub enum TurnEvent {
    /// The model is thinking.
    Thinking,
    /// An item is new, or is this now.
    Item(ItemKey, TurnItem),
    /// More of the text of an item.
    Text(ItemKey, String),
    /// Tokens this turn has used so far.
    Used(Usage),
    /// Codex asks for an approval and waits for [`Turn::answer`].
    ApprovalAsked(Approval),
    /// Codex no longer waits for an approval, although it was not answered here.
    ApprovalSettled(ApprovalId),
    /// The turn is over.
    Ended(TurnOutcome),
}

/// How a turn ended, besides its items.
#[derive(Debug, Clone, PartialEq)]
pub struct TurnOutcome {
    /// How it ended.
    pub status: TurnStatus,
    /// Tokens this turn used, if Codex said.
    pub usage: Option<Usage>,
}

/// How a turn ended.
#[derive(Debug, Clone, PartialEq)]
pub enum TurnStatus {
    /// The model finished.
    Completed,
    /// It was stopped.
    Interrupted,
    /// It failed.
    Failed(TurnFailure),
}
