//! The turns of other servers that are followed here, so that the store is asked once for all who follow one.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use super::live::LiveTurn;
use crate::session::SessionName;

/// A session, the number of a turn, and whether its followers only look.
type ObservedKey = (SessionName, u32, bool);

/// Those turns.
#[derive(Debug, Default)]
pub(in crate::session) struct ObservedTurns(Mutex<HashMap<ObservedKey, Weak<LiveTurn>>>);

impl ObservedTurns {
    /// The turn that others follow already, or this one, which is to be observed then.
    pub(in crate::session) fn join(
        &self,
        key: ObservedKey,
        new: &Arc<LiveTurn>,
    ) -> Option<Arc<LiveTurn>> {
        let mut all = self.lock();
        let known = all.get(&key).and_then(Weak::upgrade);
        if let Some(known) = known.filter(|known| !known.log.is_ended()) {
            return Some(known);
        }
        all.retain(|_, turn| turn.strong_count() > 0);
        all.insert(key, Arc::downgrade(new));
        None
    }

    /// Whether a turn has a follower besides its observer, who has one reference. If not, none can come any more.
    pub(in crate::session) fn is_followed(&self, live: &Arc<LiveTurn>) -> bool {
        // Followers come under this lock.
        let mut all = self.lock();
        let is_followed = Arc::strong_count(live) > 1;
        if !is_followed {
            all.retain(|_, turn| !std::ptr::eq(turn.as_ptr(), Arc::as_ptr(live)));
        }
        is_followed
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ObservedKey, Weak<LiveTurn>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
