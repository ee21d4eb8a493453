//! Sessions in memory: gone with the process, as in the npm package.
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
    #[cfg(test)]
    #[must_use]
    pub fn another(&self) -> Self {
        let owner = self.lock().register();
        Self { state: Arc::clone(&self.state), clock: self.clock.clone(), owner }
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
