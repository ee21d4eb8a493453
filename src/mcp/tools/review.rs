//! `review`: Codex's own code review, in a session of its own or of the caller's.

use std::path::PathBuf;

use rmcp::model::JsonObject;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    run::run,
    tool::{Cx, Effect, Outcome, Tool},
    turn_view,
};
use crate::{
    mcp::{arguments, call::Caller, error::ToolError, schema},
    session::{Request, ReviewTarget, SessionName, Settings, Work},
};

pub(super) const TOOL: Tool = Tool {
    name: "review",
    hidden: &[],
    title: "Review code",
    description: "Has Codex review code in a git repository: uncommitted changes, a branch against its \
                  base, a commit, or whatever `prompt` says. It only reads. The result lists findings \
                  with file and lines; with its `sessionId` the conversation goes on. Use `codex` to \
                  say \"fix finding 2\".",
    effect: Effect::Looks,
    input: schema::of::<Input>,
    output: schema::of_result::<turn_view::Output>,
    call: |cx, caller, given| Box::pin(call(cx, caller, given)),
};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Input {
    /// Review what is staged, unstaged and untracked. This is the default if nothing else is said.
    uncommitted: Option<bool>,
    /// Review what the current branch has changed since it left this branch.
    #[schemars(length(min = 1))]
    base: Option<String>,
    /// Review what this commit changed.
    #[schemars(length(min = 1))]
    commit: Option<String>,
    /// What to review or look for, in words; alone or with base or commit.
    #[schemars(length(min = 1))]
    prompt: Option<String>,
    /// What to call it.
    title: Option<String>,
    /// Model to use. Default: the session's or the user's own.
    #[schemars(length(min = 1))]
    model: Option<String>,
    /// Directory of the repository. Default: the session's, else where the server was started.
    working_directory: Option<PathBuf>,
    /// Session to do it in: 1 to 256 of A-Z a-z 0-9 _ -. Default: a new one.
    #[schemars(with = "Option<schema::Name>")]
    session_id: Option<SessionName>,
    /// Go on even if this call is cancelled or its client goes away; `wait` gets the result. Default: false.
    detach: Option<bool>,
    /// Seconds to wait, 0 to 86400; then it goes on. `wait` gets the result.
    #[schemars(range(min = 0, max = 86_400))]
    wait_seconds: Option<u64>,
    /// Seconds after which it is interrupted, 1 to 86400. Default: no limit, or the operator's.
    #[schemars(range(min = 1, max = 86_400))]
    timeout_seconds: Option<u64>,
}

async fn call(cx: &Cx, caller: &Caller, given: Option<JsonObject>) -> Result<Outcome, ToolError> {
    let input: Input = arguments::read(given)?;
    let wait = arguments::seconds("waitSeconds", input.wait_seconds, 0)?;
    let timeout = arguments::seconds("timeoutSeconds", input.timeout_seconds, 1)?;
    let (code, instructions) = input.target()?;
    let name = input.session_id.clone();
    let base = cx.directory();
    let request = Request {
        work: Work::Review { code: code.clone(), instructions: instructions.clone() },
        settings: Settings {
            model: input.model.clone(),
            working_directory: input.working_directory.as_ref().map(|path| base.join(path)),
            ..Settings::default()
        },
        timeout,
        detached: input.detach.unwrap_or_default(),
        joins: true,
        beside: [("base", &input.base), ("commit", &input.commit)]
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value.clone()?.into())))
            .collect(),
        ..Request::ask(in_words(input.title.as_deref(), &code, instructions.as_deref()))
    };
    run(cx, caller, name, request, wait).await
}

impl Input {
    /// The code to review, and what to look for in it.
    fn target(&self) -> Result<(ReviewTarget, Option<String>), ToolError> {
        let uncommitted = self.uncommitted.unwrap_or_default();
        let instructions = self.prompt.clone();
        if instructions.as_ref().is_some_and(|text| text.trim().is_empty()) {
            return Err(ToolError::argument("prompt", "it is empty"));
        }
        let several = |name: &str| {
            ToolError::argument(
                name,
                "review one thing at a time: `uncommitted`, `base` or `commit`",
            )
        };
        match (uncommitted, &self.base, &self.commit) {
            (true, Some(_), _) | (false, Some(_), Some(_)) => Err(several("base")),
            (true, None, Some(_)) => Err(several("commit")),
            (true, None, None) if instructions.is_some() => Err(ToolError::argument(
                "prompt",
                "it cannot go with `uncommitted`; leave that out and say in `prompt` what to look at",
            )),
            (_, Some(branch), None) => {
                Ok((ReviewTarget::BaseBranch { branch: branch.clone() }, instructions))
            }
            (_, None, Some(sha)) => Ok((
                ReviewTarget::Commit { sha: sha.clone(), title: self.title.clone() },
                instructions,
            )),
            (false, None, None) if instructions.is_some() => {
                let text = instructions.unwrap_or_default();
                Ok((ReviewTarget::Custom { instructions: text }, None))
            }
            (_, None, None) => Ok((ReviewTarget::UncommittedChanges, None)),
        }
    }
}

/// The prompt for the session's record.
fn in_words(title: Option<&str>, code: &ReviewTarget, instructions: Option<&str>) -> String {
    let code = match code {
        ReviewTarget::UncommittedChanges => "Review the uncommitted changes".to_owned(),
        ReviewTarget::BaseBranch { branch } => format!("Review the changes against {branch}"),
        ReviewTarget::Commit { sha, .. } => format!("Review commit {sha}"),
        ReviewTarget::Custom { instructions } => format!("Review: {instructions}"),
    };
    let title = title.map_or_else(String::new, |title| format!("{title}: "));
    let instructions = instructions.map_or_else(String::new, |text| format!(". {text}"));
    format!("{title}{code}{instructions}")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn target(arguments: &Value) -> Result<(ReviewTarget, Option<String>), ToolError> {
        arguments::read::<Input>(arguments.as_object().cloned()).and_then(|input| input.target())
    }

    #[test]
    fn one_thing_is_reviewed() {
        let base = ReviewTarget::BaseBranch { branch: "main".into() };
        let focus = Some("security".to_owned());
        assert_eq!(target(&json!({})).unwrap().0, ReviewTarget::UncommittedChanges);
        assert_eq!(target(&json!({"base": "main"})).unwrap().0, base);
        assert_eq!(target(&json!({"base": "main", "prompt": "security"})).unwrap(), (base, focus));
        let custom = ReviewTarget::Custom { instructions: "the docs".into() };
        assert_eq!(target(&json!({"prompt": "the docs"})).unwrap(), (custom, None));
    }

    #[test]
    fn contradictions_are_named() {
        for (arguments, argument) in [
            (json!({"uncommitted": true, "base": "main"}), "base"),
            (json!({"base": "main", "commit": "abc"}), "base"),
            (json!({"uncommitted": true, "commit": "abc"}), "commit"),
            (json!({"uncommitted": true, "prompt": "x"}), "prompt"),
            (json!({"prompt": " "}), "prompt"),
        ] {
            let error = target(&arguments).unwrap_err();
            assert!(error.message().contains(&format!("`{argument}`")), "{arguments}: {error:?}");
        }
    }
}
