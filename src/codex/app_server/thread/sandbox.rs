//! The sandbox that turns of a thread have: the one the thread is opened with, or a wider one that the first turn is given
//! and that stays.
//!
//! It is wider where a call names directories, and where a thread is opened read-only so that Codex does not come to trust
//! the project (`projects`).

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::codex::{
    app_server::connection::Connection,
    projects::Project,
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
    /// The folder whose configuration says what turns may do, if the thread is opened read-only although turns may write.
    narrowed: Option<&'a Path>,
}

impl<'a> TurnSandbox<'a> {
    /// The sandbox of these settings in this project.
    pub(super) fn of(
        settings: &'a ThreadSettings,
        project: &'a Project,
        version: CodexVersion,
    ) -> Self {
        let is_wider = settings.sandbox != Sandbox::ReadOnly;
        let is_narrowed = is_wider && version >= CodexVersion::TRUSTS_BY_ITSELF;
        Self { settings, narrowed: is_narrowed.then_some(project.policy_folder.as_path()) }
    }

    /// What the thread is opened with.
    pub(super) fn first(&self) -> Sandbox {
        if self.narrowed.is_some() { Sandbox::ReadOnly } else { self.settings.sandbox }
    }

    /// The policy of turns, without what a call names: Codex's own answer, or what that would have been.
    pub(super) async fn in_force(&self, connection: &Connection, answer: Value) -> Value {
        match (self.narrowed, self.settings.sandbox) {
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
            return self.narrowed.map(|_| in_force.clone());
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
        let (project, version) = (Project::default(), CodexVersion::TRUSTS_BY_ITSELF);
        let sandbox = TurnSandbox::of(&settings, &project, version);
        assert_eq!(sandbox.first(), Sandbox::ReadOnly);
        let user = json!({"exclude_tmpdir_env_var": true, "writable_roots": ["/a"]});
        let policy = policy(&sandbox.section(user.as_object().unwrap().clone()));
        let expected = json!({"type": "workspaceWrite", "writableRoots": ["/b"],
            "networkAccess": false, "excludeTmpdirEnvVar": true, "excludeSlashTmp": true});
        assert_eq!(policy, expected);
        assert_eq!(sandbox.wider(&policy), Some(expected));
        // A version that decides nothing, or who writes nothing, has the thread's own.
        let old = CodexVersion::ASKS_FOR_TRUST;
        assert_eq!(TurnSandbox::of(&settings, &project, old).wider(&policy), None);
        let reading = ThreadSettings { sandbox: Sandbox::ReadOnly, ..settings };
        let reading = TurnSandbox::of(&reading, &project, version);
        assert_eq!(reading.wider(&policy), None);
    }
}
