//! Sub-agents: threads that Codex itself starts for a turn, and the turn they work for.
//!
//! Codex names a sub-agent's thread on its parent's when it has started it, and tells more about it on
//! request. What is known here is forgotten with the connection.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::codex::{ids::ThreadId, protocol::EventKind, protocol::Item};

/// How deep sub-agents may nest before we stop looking; a longer chain would be a loop.
const DEPTH: usize = 16;

/// The sub-agents of one connection: the parent of each.
#[derive(Debug, Default)]
pub(super) struct Agents(Mutex<HashMap<ThreadId, ThreadId>>);

impl Agents {
    /// Learns from an event on a thread which sub-agents that has.
    pub(super) fn learn(&self, thread: &ThreadId, event: &EventKind) {
        let (EventKind::ItemStarted(item) | EventKind::ItemCompleted(item)) = event else { return };
        match item {
            Item::CollabAgentToolCall { tool, receiver_thread_ids, .. } if tool == "spawnAgent" => {
                for child in receiver_thread_ids {
                    self.add(ThreadId(child.clone()), thread.clone());
                }
            }
            Item::SubAgentActivity { agent_thread_id } => {
                self.add(ThreadId(agent_thread_id.clone()), thread.clone());
            }
            _ => {}
        }
    }

    /// Notes a sub-agent's parent. The first one named stays.
    pub(super) fn add(&self, child: ThreadId, parent: ThreadId) {
        if child != parent {
            self.lock().entry(child).or_insert(parent);
        }
    }

    /// The ancestors of a thread that are known, nearest first.
    pub(super) fn ancestors(&self, child: &ThreadId) -> Vec<ThreadId> {
        let parents = self.lock();
        let first = parents.get(child);
        std::iter::successors(first, |thread| parents.get(*thread)).take(DEPTH).cloned().collect()
    }

    /// The lock is never held across an await and nothing under it can panic.
    fn lock(&self) -> MutexGuard<'_, HashMap<ThreadId, ThreadId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> ThreadId {
        ThreadId(text.into())
    }

    #[test]
    fn a_chain_of_agents_leads_to_the_turn() {
        let agents = Agents::default();
        let spawned = |child: &str| {
            EventKind::ItemCompleted(Item::CollabAgentToolCall {
                id: String::new(),
                tool: "spawnAgent".into(),
                status: String::new(),
                receiver_thread_ids: vec![child.into()],
            })
        };
        agents.learn(&id("turn"), &spawned("child"));
        agents.learn(&id("child"), &spawned("grandchild"));
        assert_eq!(agents.ancestors(&id("grandchild")), [id("child"), id("turn")]);
        assert!(agents.ancestors(&id("stranger")).is_empty());
        // A thread that names itself or its own ancestor ends nothing.
        agents.add(id("turn"), id("grandchild"));
        assert_eq!(agents.ancestors(&id("child")).len(), DEPTH);
    }
}
