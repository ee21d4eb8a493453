//! A state in which the store may be: what the reference says it is, with its owners.

use futures_util::FutureExt;
use jiff::Timestamp;

use super::{
    operation::{OWNERS, Operation},
    perform::{Answer, Given, perform},
    records::{Seen, seen},
};
use crate::session::store::{ReferenceStore, StoreClock};

#[derive(Debug)]
pub(super) struct World {
    /// Is no owner that does anything: gives out the others.
    memory: ReferenceStore,
    owners: Vec<Option<ReferenceStore>>,
}

impl World {
    /// An empty store without owners.
    pub(super) fn new(clock: StoreClock) -> Self {
        let owners = (0..OWNERS).map(|_| None).collect();
        Self { memory: ReferenceStore::new(clock), owners }
    }

    pub(super) fn rise(&mut self, owner: usize) {
        self.owners[owner] = Some(self.memory.another());
    }

    /// Ends an owner. Unless that `is_seen`, its leases last until they run out.
    pub(super) fn die(&mut self, owner: usize, is_seen: bool) {
        let Some(store) = self.owners[owner].take() else { return };
        if !is_seen {
            store.leave_unseen();
        }
    }

    /// Carries an operation out. A lease that it gives has the operation's number as its epoch, whatever happened before.
    pub(super) fn perform(&self, owner: usize, operation: &Operation, given: &Given) -> Answer {
        let store = self.owners[owner].as_ref().unwrap();
        store.number_leases_from(given.number.cast_signed());
        let done = perform(store, operation, given).now_or_never();
        done.expect("the reference waits for nothing").unwrap()
    }

    /// All that an owner can read.
    pub(super) fn seen(&self, owner: usize, now: Timestamp) -> Seen {
        let store = self.owners[owner].as_ref().unwrap();
        seen(store, now).now_or_never().expect("the reference waits for nothing")
    }
}

impl Clone for World {
    fn clone(&self) -> Self {
        let memory = self.memory.apart();
        let owners =
            self.owners.iter().map(|owner| owner.as_ref().map(|it| it.moved_to(&memory))).collect();
        Self { memory, owners }
    }
}

impl PartialEq for World {
    fn eq(&self, other: &Self) -> bool {
        self.memory.holds_the_same_as(&other.memory)
    }
}
