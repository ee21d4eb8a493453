//! A turn as everybody shares it while it waits or runs: its log, who is attached to it, who could answer for it.

mod cut;
mod items;
mod log;

use std::{
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering},
    },
};

use tokio_util::sync::CancellationToken;

use crate::session::{CallDigest, SessionError};
pub(super) use log::{JoinedTurn, LogReader};
pub use log::{LogPlace, QueuePosition, Update};
pub(in crate::session) use log::{ReadFrom, TurnLog};

/// A turn that waits or runs.
#[derive(Debug)]
pub(in crate::session) struct LiveTurn {
    id: TurnKey,
    pub(in crate::session) log: Arc<TurnLog>,
    /// Cancelled when an attached call is dropped: then nobody wants the turn any more.
    pub(in crate::session) cancelled: CancellationToken,
    /// The call that began it. None if only its followers are of interest here.
    digest: Option<CallDigest>,
    number: AtomicU32,
    callers: AtomicUsize,
    attached: AtomicUsize,
    askable: AtomicUsize,
    /// Whether it goes on whatever becomes of the calls that are attached to it.
    goes_on: AtomicBool,
}

/// Counts a call whose answer the turn is. Dropping it ends that.
#[derive(Debug)]
pub(super) struct Calling(Arc<LiveTurn>);

/// Tells a turn from all others of this process, also before it has a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::session) struct TurnKey(u64);

/// Keeps a turn attached to its call. Dropping it cancels the turn.
#[derive(Debug)]
pub(super) struct CancelOnDrop(Option<Arc<LiveTurn>>);

/// Counts somebody who can be shown what Codex asks. Dropping it ends that.
#[derive(Debug)]
pub(super) struct CanAsk(Arc<LiveTurn>);

/// The right to write the log of a turn. Dropping it before the end ends the log, so that no reader waits for ever.
#[derive(Debug)]
pub(in crate::session) struct LogOwner(pub(in crate::session) Arc<LiveTurn>);

impl Deref for LogOwner {
    type Target = Arc<LiveTurn>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl Drop for LogOwner {
    fn drop(&mut self) {
        // No effect after the end.
        self.log.append(Update::Ended(Err(Arc::new(SessionError::ShuttingDown))));
    }
}

impl LiveTurn {
    /// A turn that only its followers are interested in.
    pub(in crate::session) fn new() -> Arc<Self> {
        Self::of_call(None)
    }

    /// The turn of a call.
    pub(in crate::session) fn of_call(digest: Option<CallDigest>) -> Arc<Self> {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Arc::new(Self {
            id: TurnKey(LAST.fetch_add(1, Ordering::Relaxed)),
            log: Arc::new(TurnLog::new()),
            cancelled: CancellationToken::new(),
            digest,
            number: AtomicU32::new(0),
            callers: AtomicUsize::new(0),
            attached: AtomicUsize::new(0),
            askable: AtomicUsize::new(0),
            goes_on: AtomicBool::new(false),
        })
    }

    pub(in crate::session) fn id(&self) -> TurnKey {
        self.id
    }

    /// Its number in the session. None before it has begun.
    pub(in crate::session) fn number(&self) -> Option<u32> {
        Some(self.number.load(Ordering::Relaxed)).filter(|number| *number > 0)
    }

    pub(in crate::session) fn set_number(&self, number: u32) {
        self.number.store(number, Ordering::Relaxed);
    }

    /// Whether it goes on by itself: no call is attached to it, and none that was has been dropped.
    pub(super) fn is_detached(&self) -> bool {
        let is_held = self.attached.load(Ordering::Relaxed) > 0 && !self.goes_by_itself();
        !is_held && !self.cancelled.is_cancelled()
    }

    /// Detaches it from all its calls, for good.
    pub(super) fn go_on(&self) {
        self.goes_on.store(true, Ordering::Relaxed);
    }

    /// Cancels it for an attached call, unless it goes on by itself meanwhile.
    pub(super) fn cancel(&self) {
        if !self.goes_by_itself() {
            self.cancelled.cancel();
        }
    }

    fn goes_by_itself(&self) -> bool {
        self.goes_on.load(Ordering::Relaxed)
    }

    /// Whether it is the turn of a call like this that nobody waits for as its caller any more.
    pub(in crate::session) fn is_left_by(&self, digest: &CallDigest) -> bool {
        self.digest.as_ref() == Some(digest)
            && self.is_detached()
            && self.callers.load(Ordering::Relaxed) == 0
    }

    /// Counts a call whose answer it is.
    pub(super) fn add_caller(self: &Arc<Self>) -> Calling {
        self.callers.fetch_add(1, Ordering::Relaxed);
        Calling(Arc::clone(self))
    }

    /// Whether any call that follows it can show what Codex asks.
    pub(super) fn can_ask(&self) -> bool {
        self.askable.load(Ordering::Relaxed) > 0
    }

    /// Attaches a call.
    pub(super) fn attach(self: &Arc<Self>) -> CancelOnDrop {
        self.attached.fetch_add(1, Ordering::Relaxed);
        CancelOnDrop(Some(Arc::clone(self)))
    }

    /// Counts a call that can show what Codex asks.
    pub(super) fn add_askable(self: &Arc<Self>) -> CanAsk {
        self.askable.fetch_add(1, Ordering::Relaxed);
        CanAsk(Arc::clone(self))
    }
}

impl CancelOnDrop {
    /// Lets the turn go on by itself.
    pub(super) fn detach(mut self) {
        if let Some(turn) = self.0.take() {
            turn.attached.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        if let Some(turn) = self.0.take() {
            turn.attached.fetch_sub(1, Ordering::Relaxed);
            turn.cancel();
        }
    }
}

impl Drop for Calling {
    fn drop(&mut self) {
        self.0.callers.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for CanAsk {
    fn drop(&mut self) {
        self.0.askable.fetch_sub(1, Ordering::Relaxed);
    }
}
