//! The sandbox that turns of a thread have: the one the thread is opened with, or a wider one that the first turn is given
//! and that stays.
//!
//! It is wider where a call names directories, and where a thread is opened read-only because the user has not said yet
//! what to think of the project (`projects`).

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::codex::{
    app_server::connection::Connection,
    protocol::{ConfigRead, ConfigReadParams},
    settings::{Sandbox, ThreadSettings},
    version::CodexVersion,
};

/// The section of Codex's configuration that says more of [`Sandbox::WorkspaceWrite`].
const SECTION: &str = "sandbox_workspace_write";

/// What turns may do, and how they come to it.
#[derive(Debug, Clone, Copy)]
pub(super) struct TurnSandbox<'a> {
    settings: &'a ThreadSettings,
    /// A folder that belongs to no project, if the thread is opened read-only although turns may write.
    undecided: Option<&'a Path>,
}

impl<'a> TurnSandbox<'a> {
    /// The sandbox of these settings. `undecided` is a folder that belongs to no project, if the user has not said what
    /// to think of the project of the thread.
    pub(super) fn of(
        settings: &'a ThreadSettings,
        undecided: Option<&'a Path>,
        version: CodexVersion,
    ) -> Self {
        let is_wider = settings.sandbox != Sandbox::ReadOnly;
        let undecided = undecided.filter(|_| is_wider && version >= CodexVersion::TRUSTS_BY_ITSELF);
        Self { settings, undecided }
    }

    /// What the thread is opened with.
    pub(super) fn first(&self) -> Sandbox {
        if self.undecided.is_some() { Sandbox::ReadOnly } else { self.settings.sandbox }
    }

    /// The policy of turns, without what a call names: Codex's own answer, or what that would have been.
    pub(super) async fn in_force(&self, connection: &Connection, answer: Value) -> Value {
        match (self.undecided, self.settings.sandbox) {
            (Some(folder), Sandbox::WorkspaceWrite) => {
                let read = ConfigReadParams { cwd: folder };
                let read = connection.call::<ConfigRead>("config/read", read).await;
                let user = read.ok().and_then(|read| read.config.sandbox_workspace_write);
                policy(&self.section(user.unwrap_or_default()))
            }
            (Some(_), _) => json!({"type": "dangerFullAccess"}),
            (None, _) => answer,
        }
    }

    /// The user's section of the configuration with what this thread has instead.
    fn section(&self, mut section: Map<String, Value>) -> Map<String, Value> {
        for (key, value) in self.settings.options.keys() {
            match (key.strip_prefix(SECTION), value) {
                (Some(""), Value::Object(more)) => section.extend(more),
                (Some(rest), value) => {
                    if let Some(name) = rest.strip_prefix('.') {
                        section.insert(name.to_owned(), value);
                    }
                }
                _ => {}
            }
        }
        section
    }

    /// The directories that a call names.
    pub(super) fn roots(&self) -> Option<Vec<PathBuf>> {
        let roots = self.settings.options.all_writable_roots();
        roots.filter(|_| self.settings.sandbox == Sandbox::WorkspaceWrite)
    }

    /// What turns are given, if that is more than the thread has: the policy in force with the named directories.
    pub(super) fn wider(&self, in_force: &Value) -> Option<Value> {
        let Some(roots) = self.roots() else {
            return self.undecided.map(|_| in_force.clone());
        };
        let mut policy = in_force.as_object().cloned().unwrap_or_default();
        policy.insert("type".to_owned(), "workspaceWrite".into());
        let roots = roots.iter().map(|root| root.to_string_lossy().into_owned());
        policy.insert("writableRoots".to_owned(), roots.collect());
        Some(Value::Object(policy))
    }
}

/// A section of the configuration as the policy of a turn. What it does not say is as Codex has it.
fn policy(section: &Map<String, Value>) -> Value {
    let is_set = |name: &str| section.get(name).and_then(Value::as_bool).unwrap_or_default();
    json!({
        "type": "workspaceWrite",
        "writableRoots": section.get("writable_roots").cloned().unwrap_or_else(|| json!([])),
        "networkAccess": is_set("network_access"),
        "excludeTmpdirEnvVar": is_set("exclude_tmpdir_env_var"),
        "excludeSlashTmp": is_set("exclude_slash_tmp"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codex::settings::{ApprovalPolicy, ThreadOptions};

    #[test]
    fn what_a_thread_has_instead_wins_over_the_user() {
        let config = json!({
            "sandbox_workspace_write": {"exclude_slash_tmp": true, "network_access": true},
            "sandbox_workspace_writer": 1,
            "sandbox_workspace_write.writable_roots": ["/b"],
        });
        let settings = ThreadSettings {
            cwd: "/w".into(),
            model: None,
            effort: None,
            sandbox: Sandbox::WorkspaceWrite,
            approval_policy: ApprovalPolicy::Never,
            ephemeral: false,
            options: ThreadOptions {
                config: config.as_object().unwrap().clone(),
                network: Some(false),
                ..ThreadOptions::default()
            },
        };
        let sandbox =
            TurnSandbox::of(&settings, Some(Path::new("/")), CodexVersion::TRUSTS_BY_ITSELF);
        assert_eq!(sandbox.first(), Sandbox::ReadOnly);
        let user = json!({"exclude_tmpdir_env_var": true, "writable_roots": ["/a"]});
        let policy = policy(&sandbox.section(user.as_object().unwrap().clone()));
        let expected = json!({"type": "workspaceWrite", "writableRoots": ["/b"],
            "networkAccess": false, "excludeTmpdirEnvVar": true, "excludeSlashTmp": true});
        assert_eq!(policy, expected);
        assert_eq!(sandbox.wider(&policy), Some(expected));
        // Who has said it, or writes nothing, has the thread's own.
        assert_eq!(
            TurnSandbox::of(&settings, None, CodexVersion::TRUSTS_BY_ITSELF).wider(&policy),
            None
        );
        let reading = ThreadSettings { sandbox: Sandbox::ReadOnly, ..settings };
        let reading =
            TurnSandbox::of(&reading, Some(Path::new("/")), CodexVersion::TRUSTS_BY_ITSELF);
        assert_eq!(reading.wider(&policy), None);
    }
}
