//! One session in use and the turns that run in it.
//!
//! An [`actor`](Actor) serves one session. Each turn goes through [`phases`]: the session is claimed ([`waiting`]), its
//! thread [`open`]ed by a [`plan`], written down by a [`recorder`], and followed by [`watch`] with its [`approvals`] and
//! [`steering`]; [`outcome`] reads what it came to. Everybody who wants to know reads the log of the [`live`] turn; a [`Call`] is a place in it.

mod actor;
mod approvals;
mod call;
mod live;
mod loaded;
mod message;
mod open;
mod outcome;
mod phases;
mod plan;
mod queued;
mod recorder;
mod steering;
#[cfg(test)]
mod tests;
mod waiting;
mod watch;

pub(super) use actor::Actor;
pub use call::{Call, Detached, Follower, Step};
pub(super) use live::{LiveTurn, LogOwner};
pub use live::{QueuePosition, Update};
pub(super) use message::Message;
pub(super) use plan::Plan;
pub(super) use queued::QueuedTurn;
