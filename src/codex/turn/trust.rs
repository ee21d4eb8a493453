//! Whether a thread is known to be idle between its turns.
//!
//! Codex merges a turn into one that still runs on the same thread, so a thread whose last turn may
//! still run must not be used again. A thread and its turns share this flag.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// Set once the thread cannot be trusted to be idle. Clones share one flag.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trust(Arc<AtomicBool>);

impl Trust {
    /// Notes that a turn may still run.
    pub(crate) fn lose(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether a turn may still run.
    pub(crate) fn is_lost(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
