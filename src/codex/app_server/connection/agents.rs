//! Sub-agents: threads that Codex itself starts for a turn, and the turn they work for.
//!
//! Codex names a sub-agent's thread on its parent's when it has started it, and tells more about it on
//! request. What is known here is forgotten with the connection.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::codex::{ids::ThreadId, protocol::EventKind, protocol::Item};

/// How deep sub-agents may nest before we stop looking; a longer chain would be a loop.
const DEPTH: usize = 16;

/// The sub-agents of one connection.
#[derive(Debug, Default)]
pub(super) struct Agents(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// The parent of each.
    parents: HashMap<ThreadId, ThreadId>,
    /// The threads on which a turn runs, those of no agents among them: whose a thread is can be told after it has begun.
    working: HashSet<ThreadId>,
}

impl Agents {
    /// Learns from an event on a thread which sub-agents that has, and whether it works itself.
    pub(super) fn learn(&self, thread: &ThreadId, event: &EventKind) {
        let item = match event {
            EventKind::Started => {
                self.lock().working.insert(thread.clone());
                return;
            }
            EventKind::Ended(_) | EventKind::ThreadClosed => {
                self.lock().working.remove(thread);
                return;
            }
            EventKind::ItemStarted(item) | EventKind::ItemCompleted(item) => item,
            _ => return,
        };
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
            self.lock().parents.entry(child).or_insert(parent);
        }
    }

    /// The ancestors of a thread that are known, nearest first.
    pub(super) fn ancestors(&self, child: &ThreadId) -> Vec<ThreadId> {
        self.lock().ancestors(child).cloned().collect()
    }

    /// Whether a sub-agent of a thread works.
    pub(super) fn work_for(&self, thread: &ThreadId) -> bool {
        let known = self.lock();
        known.working.iter().any(|agent| known.ancestors(agent).any(|ancestor| ancestor == thread))
    }

    /// The lock is never held across an await and nothing under it can panic.
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn ancestors<'a>(&'a self, child: &ThreadId) -> impl Iterator<Item = &'a ThreadId> {
        let first = self.parents.get(child);
        std::iter::successors(first, |thread| self.parents.get(*thread)).take(DEPTH)
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
        agents.learn(&id("turn"), &EventKind::Started);
        assert!(!agents.work_for(&id("turn")));
        agents.learn(&id("grandchild"), &EventKind::Started);
        assert!(agents.work_for(&id("turn")) && !agents.work_for(&id("grandchild")));
        agents.learn(&id("grandchild"), &EventKind::ThreadClosed);
        assert!(!agents.work_for(&id("turn")));
        // A thread that names itself or its own ancestor ends nothing.
        agents.add(id("turn"), id("grandchild"));
        assert_eq!(agents.ancestors(&id("child")).len(), DEPTH);
    }
}
