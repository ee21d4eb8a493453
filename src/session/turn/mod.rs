//! One session in use and the turns that run in it.
//!
//! An [`actor`](Actor) serves one session. Each turn goes through [`phases`]: [`waiting`] claims the session, [`plan`]
//! chooses the settings, [`open`] opens the thread, and the turn starts. [`recorder`] writes it down, [`watch`] follows
//! it with its [`approvals`] and [`steering`], [`outcome`] reads the result, and [`naming`] names the thread. All observers read the log of the
//! [`live`] turn; a [`Call`] is a reader of that log.

mod actor;
mod after;
mod approvals;
mod away;
mod call;
mod held;
mod history;
mod input;
mod lending;
mod live;
mod loaded;
mod loan;
mod message;
mod naming;
mod observed;
mod open;
mod outcome;
mod phases;
mod plan;
mod queued;
mod quota;
mod recorder;
mod steering;
#[cfg(test)]
mod tests;
mod unasked;
mod unrecorded;
mod waiting;
mod watch;

pub(super) use actor::Actor;
pub use call::{Call, Detached, Follower, Step};
pub(super) use live::{LiveTurn, LogOwner, ReadFrom};
pub use live::{LogPlace, QueuePosition, Update};
pub(super) use message::Message;
pub(super) use naming::title;
pub(super) use observed::ObservedTurns;
pub(super) use plan::Plan;
pub(super) use queued::QueuedTurn;
