//! What a store must do, as simply as it can be said: collections in memory, and rules that read like the traits'
//! documentation. The databases are held against it ([`super::model`]), and tests whose time stands still run on it.
//!
//! Several stores can share one memory, each as an owner of its own, which is how tests see several servers.

mod coordination;
mod sessions;
mod state;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::StoreClock;
use state::State;

/// A store that lives as long as the process.
#[derive(Debug)]
pub struct ReferenceStore {
    state: Arc<Mutex<State>>,
    clock: StoreClock,
    owner: u64,
}

impl ReferenceStore {
    /// A store of its own, judged by this clock.
    pub fn new(clock: StoreClock) -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let owner = lock(&state).register();
        Self { state, clock, owner }
    }

    /// Another owner on the same memory.
    #[must_use]
    pub fn another(&self) -> Self {
        let owner = self.lock().register();
        Self { state: Arc::clone(&self.state), clock: self.clock.clone(), owner }
    }

    /// The same owner, on a memory of its own that has all that this one has.
    pub(super) fn apart(&self) -> Self {
        let state = Arc::new(Mutex::new(self.lock().clone()));
        Self { state, clock: self.clock.clone(), owner: self.owner }
    }

    /// The same owner, on the memory of another.
    pub(super) fn moved_to(&self, other: &Self) -> Self {
        let state = Arc::clone(&other.state);
        Self { state, clock: self.clock.clone(), owner: self.owner }
    }

    /// Whether two memories have the same in them.
    pub(super) fn holds_the_same_as(&self, other: &Self) -> bool {
        let state = self.lock().clone();
        state == *other.lock()
    }

    /// Ends it without the others being told: they see its leases run out.
    pub(super) fn leave_unseen(mut self) {
        self.owner = 0;
    }

    /// Sets the epoch of the next lease that is given on any session.
    pub(super) fn number_leases_from(&self, epoch: i64) {
        self.lock().last_epoch = epoch - 1;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl Default for ReferenceStore {
    fn default() -> Self {
        Self::new(StoreClock::default())
    }
}

impl Drop for ReferenceStore {
    fn drop(&mut self) {
        let owner = self.owner;
        self.lock().alive.remove(&owner);
    }
}

/// The lock is never held across an await and nothing under it can panic.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
