//! Having a turn work in its session's worktree.

use serde::{Deserialize, Serialize};

use crate::{
    codex::Sandbox,
    session::{
        Request, SessionConfig, SessionError, SessionRecord, record::WorktreeRecord, turn::Plan,
    },
};

use super::Worktrees;

/// What a session's worktree is to begin with, if it has none yet.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct WorktreeRequest {
    /// This commit. If `None`, the one that is checked out.
    pub base: Option<String>,
    /// What is not committed yet as well.
    pub changes: bool,
}

impl WorktreeRequest {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Plan {
    /// Points the turn at its session's worktree, which is made if the turn is to have one and there is none. Returns
    /// what to know besides.
    ///
    /// # Errors
    /// [`SessionError::Worktree`] if the call wants something that does not go together with the worktree there is,
    /// [`SessionError::WorktreeGone`], [`SessionError::SandboxAboveCeiling`], or if git fails.
    pub(in crate::session) async fn work_apart(
        &mut self,
        request: &Request,
        record: &mut SessionRecord,
        config: &SessionConfig,
        worktrees: Option<&Worktrees>,
    ) -> Result<Vec<String>, SessionError> {
        let is_wanted = request.settings.worktree.or(record.settings.worktree).unwrap_or_default();
        let mut warnings = Vec::new();
        if record.details.worktree.is_some() && request.settings.worktree == Some(false) {
            let reason =
                "the session works in its worktree; apply or discard that first".to_owned();
            return Err(SessionError::Worktree { reason });
        }
        let worktree = match record.details.worktree.clone() {
            Some(worktree) => {
                if !request.worktree.is_empty() {
                    let text = "The session has its worktree already; worktreeBase and worktreeChanges are \
                                only for a new one.";
                    warnings.push(text.to_owned());
                }
                worktree
            }
            None if !is_wanted && !request.worktree.is_empty() => {
                let reason = "worktreeBase and worktreeChanges go with worktree: true".to_owned();
                return Err(SessionError::Worktree { reason });
            }
            None if !is_wanted => {
                warnings.extend(self.back_in_place(record));
                return Ok(warnings);
            }
            None => {
                config.limits.check_sandbox(Sandbox::WorkspaceWrite)?;
                let missing = || SessionError::Worktree {
                    reason: "there is no folder for worktrees, because nothing is kept".to_owned(),
                };
                let worktrees = worktrees.ok_or_else(missing)?;
                config.limits.check_repository(&config.git.repository(&self.directory)).await?;
                let made = worktrees.add(&record.name, &self.directory, &request.worktree).await?;
                warnings.extend(made.1);
                record.details.worktree = Some(made.0.clone());
                // What is pinned is where the user works, not the worktree.
                let directory = &mut record.settings.working_directory;
                directory.get_or_insert_with(|| self.directory.clone());
                made.0
            }
        };
        self.move_into(&worktree).await?;
        Ok(warnings)
    }

    /// What to say if the last turn ran in a worktree that was discarded since.
    fn back_in_place(&mut self, record: &SessionRecord) -> Option<String> {
        if !record.details.left_worktree {
            return None;
        }
        // Else a resumed thread keeps what it was told.
        self.options.writable_roots.get_or_insert_default();
        let before = record.effective.as_ref().map(|with| &with.working_directory);
        (before != Some(&self.directory)).then(|| {
            let directory = self.directory.display();
            format!(
                "The session's worktree was discarded; this turn works in `{directory}` itself."
            )
        })
    }

    /// Points the turn at a worktree.
    pub(in crate::session) async fn move_into(
        &mut self,
        worktree: &WorktreeRecord,
    ) -> Result<(), SessionError> {
        let WorktreeRecord { path, root, .. } = worktree;
        if !path.is_dir() {
            return Err(SessionError::WorktreeGone { path: path.clone() });
        }
        let directory = tokio::fs::canonicalize(&self.directory).await;
        let directory = directory.unwrap_or_else(|_| self.directory.clone());
        let Ok(below) = directory.strip_prefix(root) else {
            let reason = format!(
                "its worktree belongs to `{}`, and `{}` is not in that",
                root.display(),
                self.directory.display()
            );
            return Err(SessionError::Worktree { reason });
        };
        let inside = path.join(below);
        // The folder may not be in the commit that the worktree began with.
        let is_below = !below.as_os_str().is_empty() && inside.is_dir();
        self.directory = if is_below { inside } else { path.clone() };
        self.apart = Some(worktree.clone());
        self.sandbox.get_or_insert(Sandbox::WorkspaceWrite);
        if self.sandbox == Some(Sandbox::WorkspaceWrite) {
            // All of it, also where the turn works in a folder of it. Not the git folder: what is in that decides which
            // programs Codex's own git runs, outside of the sandbox.
            self.options.writable_roots.get_or_insert_default().push(path.clone());
        }
        Ok(())
    }
}
