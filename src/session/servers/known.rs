//! The servers there are, as this one last heard of them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::session::SeenServer;

/// The servers there are, as they were last heard of.
#[derive(Debug, Clone, Default)]
pub struct KnownServers(Arc<Mutex<Vec<SeenServer>>>);

impl KnownServers {
    /// The servers, as Prometheus reads them.
    pub fn metrics(&self) -> String {
        let escaped =
            |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let mut up =
            "# HELP codex_mcp_server_up Servers of the store, and whether they are there.\n\
                      # TYPE codex_mcp_server_up gauge\n"
                .to_owned();
        let mut turns = "# HELP codex_mcp_server_turns Turns that run or wait on each server.\n\
                         # TYPE codex_mcp_server_turns gauge\n"
            .to_owned();
        for SeenServer { server, silent, .. } in self.lock().iter() {
            let (id, machine) = (escaped(&server.id), escaped(&server.machine));
            let (version, codex) =
                (escaped(&server.version), escaped(server.codex.as_deref().unwrap_or_default()));
            let state = if server.draining { "draining" } else { "serving" };
            up += &format!(
                "codex_mcp_server_up{{server=\"{id}\",machine=\"{machine}\",version=\"{version}\",\
                 codex=\"{codex}\",state=\"{state}\"}} {}\n",
                u8::from(!silent)
            );
            let count = if *silent { 0 } else { server.turns.len() };
            turns += &format!(
                "codex_mcp_server_turns{{server=\"{id}\",machine=\"{machine}\"}} {count}\n"
            );
        }
        up + &turns
    }

    pub(super) fn set(&self, servers: Vec<SeenServer>) {
        *self.lock() = servers;
    }

    /// The lock is never held across an await and nothing under it can panic.
    fn lock(&self) -> MutexGuard<'_, Vec<SeenServer>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::session::{ServerRecord, ServerTurn};

    #[test]
    fn names_of_machines_cannot_break_the_metrics() {
        let known = KnownServers::default();
        let server = ServerRecord {
            id: "i".into(),
            machine: "a\"b\\c\nd".into(),
            turns: vec![ServerTurn {
                tenant: String::new(),
                session: "s".parse().unwrap(),
                number: None,
            }],
            ..ServerRecord::default()
        };
        let seen = |silent| SeenServer { server: server.clone(), ago: Duration::ZERO, silent };
        known.set(vec![seen(false)]);
        let text = known.metrics();
        assert!(text.contains("machine=\"a\\\"b\\\\c\\nd\",version"), "{text}");
        assert!(text.ends_with("} 1\n"), "{text}");
        known.set(vec![seen(true)]);
        let text = known.metrics();
        assert!(text.ends_with("} 0\n") && text.contains("state=\"serving\"} 0\n"), "{text}");
    }
}
