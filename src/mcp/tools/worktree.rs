//! `worktree`: looks at, applies or discards what a session has changed in its worktree.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::tool::{Call, Callable, Cx, Effect, Outcome};
use crate::{
    mcp::{answer::Answer, error::ToolError, schema},
    session::{SessionName, WorktreeAction, WorktreeState},
};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ManageWorktree {
    /// The session.
    #[schemars(with = "schema::Name")]
    session_id: SessionName,
    /// What to do: diff, apply or discard.
    action: Action,
    /// Discard it even if something in it is nowhere else. Default: false.
    force: Option<bool>,
}

impl Callable for ManageWorktree {
    const NAME: &'static str = "worktree";
    const TITLE: &'static str = "A session's worktree";
    const DESCRIPTION: &'static str = "Shows what a session has changed in its git worktree (diff), brings all of that into the user's \
                  working tree (apply: everything or, if something conflicts, nothing), or removes the worktree \
                  and its branch (discard). Sessions begun with `worktree: true` have one.";
    const EFFECT: Effect = Effect::Changes;

    type Output = Output;

    async fn call(self, cx: &Cx, _: Call<'_>) -> Result<Outcome, ToolError> {
        let Self { session_id, action, force } = self;
        let force = force.unwrap_or_default();
        if force && action != Action::Discard {
            return Err(ToolError::argument("force", "it is for action `discard` alone"));
        }
        let name = cx.sessions.of_thread(&session_id).await?;
        let mut output = Output {
            session_id: name.to_string(),
            worktree: None,
            diff: None,
            truncated: None,
            files: None,
            discarded: None,
            warnings: Vec::new(),
        };
        let text = match action {
            Action::Diff => {
                let limit = cx.max_text as u64;
                let (state, diff, is_all) = cx.sessions.worktree_diff(&name, limit).await?;
                let text = match (diff.as_str(), is_all) {
                    ("", true) => "Nothing has changed.".to_owned(),
                    (diff, true) => diff.to_owned(),
                    (diff, false) => {
                        let (path, base) = (state.path.display(), &state.base);
                        format!("{diff}\n(cut; `git -C {path} diff {base}` shows all of it)")
                    }
                };
                output.worktree = Some(state);
                output.diff = Some(diff);
                output.truncated = Some(!is_all);
                text
            }
            Action::Apply => {
                let done = cx.sessions.worktree(&name, WorktreeAction::Apply).await?;
                let text = match done.files.as_slice() {
                    [] => "There was nothing to apply.".to_owned(),
                    files => {
                        format!("Applied; these files have changed here: {}.", files.join(", "))
                    }
                };
                output.worktree = done.state;
                output.files = Some(done.files);
                text
            }
            Action::Discard => {
                let done = cx.sessions.worktree(&name, WorktreeAction::Discard { force }).await?;
                output.worktree = done.state;
                output.discarded = Some(true);
                output.warnings = ignored(&done.ignored);
                "The worktree and its branch are removed.".to_owned()
            }
        };
        Ok(Answer::new(&output, text).into())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Action {
    Diff,
    Apply,
    Discard,
}

#[skip_serializing_none]
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Output {
    /// The session.
    session_id: String,
    /// What was in the worktree; absent if it was gone.
    worktree: Option<WorktreeState>,
    /// The changes (diff).
    diff: Option<String>,
    /// Whether the diff was cut; `git diff` with the base, in the worktree, shows all of it.
    truncated: Option<bool>,
    /// The files of the user's working tree that have changed (apply).
    files: Option<Vec<String>>,
    /// Whether it was removed (discard).
    discarded: Option<bool>,
    /// What to know besides.
    warnings: Vec<String>,
}

/// Names some of the ignored files that went with a worktree.
fn ignored(files: &[String]) -> Vec<String> {
    const NAMED: usize = 10;
    let more = if files.len() > NAMED { " …" } else { "" };
    let named = files.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    let text = format!("Files that git ignores went with it: {named}{more}.");
    if files.is_empty() { Vec::new() } else { vec![text] }
}
