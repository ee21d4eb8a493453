//! `review`: a code review with a verdict, in a session of its own or of the caller's.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    run::run,
    tool::{Call, Callable, Cx, Effect, Outcome},
    turn_view,
};
use crate::{
    mcp::{error::ToolError, schema},
    session::{Request, ReviewStyle, ReviewTarget, SessionName, Settings, Work},
};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct StartReview {
    /// Review what is staged, unstaged and untracked. This is the default if nothing else is said.
    uncommitted: Option<bool>,
    /// Review what the current branch has changed since it left this branch.
    #[schemars(length(min = 1))]
    base: Option<String>,
    /// Review what this commit changed.
    #[schemars(length(min = 1))]
    commit: Option<String>,
    /// What to look for in particular; alone, what to review.
    #[schemars(length(min = 1))]
    prompt: Option<String>,
    /// standard (as a careful maintainer), or adversarial (tries to break it: assumptions, races, failure
    /// paths, data loss). Default: standard.
    style: Option<Style>,
    /// Review only these files and folders of the changes.
    #[schemars(length(min = 1))]
    paths: Option<Vec<String>>,
    #[schemars(skip)]
    since: Option<String>,
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
    /// Keep nothing: no session, no record in Codex. Default: false.
    ephemeral: Option<bool>,
}

impl Callable for StartReview {
    const NAME: &'static str = "review";
    // For the plugin's gate, which knows trees and not commits.
    const HIDDEN: &'static [&'static str] = &["since"];
    const TITLE: &'static str = "Review code";
    const DESCRIPTION: &'static str = "Has Codex review code in a git repository: uncommitted changes, a branch against its \
                  base, a commit, or whatever `prompt` says. It only reads. The result has a verdict \
                  (approve or needs-attention) and findings with severity, file and lines; a review that \
                  could not be completed is an error. With its `sessionId` the conversation goes on. Use \
                  `codex` to say \"fix finding 2\".";
    const EFFECT: Effect = Effect::Looks;
    const BEGINS_TURNS: bool = true;

    type Output = turn_view::Output;

    async fn call(self, cx: &Cx, Call { caller, turn }: Call<'_>) -> Result<Outcome, ToolError> {
        let input = self;
        let wait = turn.wait()?;
        let timeout = turn.timeout()?;
        let (target, focus) = input.target()?;
        let style = match input.style {
            None | Some(Style::Standard) => ReviewStyle::Standard,
            Some(Style::Adversarial) => ReviewStyle::Adversarial,
        };
        let paths = input.paths()?;
        let name = input.session_id.clone();
        if input.ephemeral == Some(true) && name.is_some() {
            let reason = "nothing is kept of such a call, so it has no session";
            return Err(ToolError::argument("ephemeral", reason));
        }
        let base = cx.directory();
        let request = Request {
            work: Work::Review { target: target.clone(), paths, focus: focus.clone(), style },
            settings: Settings {
                model: input.model.clone(),
                working_directory: input.working_directory.as_ref().map(|path| base.join(path)),
                ..Settings::default()
            },
            timeout,
            ephemeral: input.ephemeral.unwrap_or_default(),
            detached: turn.detached(),
            joins: true,
            beside: [("base", &input.base), ("commit", &input.commit)]
                .into_iter()
                .filter_map(|(name, value)| Some((name.to_owned(), value.clone()?.into())))
                .collect(),
            ..Request::ask(in_words(input.title.as_deref(), style, &target, focus.as_deref()))
        };
        run(cx, caller, name, request, wait).await
    }
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Style {
    Standard,
    Adversarial,
}

impl StartReview {
    /// The code to review, and what to look for in it.
    fn target(&self) -> Result<(ReviewTarget, Option<String>), ToolError> {
        let uncommitted = self.uncommitted.unwrap_or_default();
        let focus = self.prompt.clone();
        if focus.as_ref().is_some_and(|text| text.trim().is_empty()) {
            return Err(ToolError::argument("prompt", "it is empty"));
        }
        let several = |name: &str| {
            ToolError::argument(
                name,
                "review one thing at a time: `uncommitted`, `base` or `commit`",
            )
        };
        if let (Some(tree), None, None, false) =
            (&self.since, &self.base, &self.commit, uncommitted)
        {
            return Ok((ReviewTarget::Since { tree: tree.clone() }, focus));
        }
        let target = match (&self.base, &self.commit) {
            (Some(_), Some(_)) => return Err(several("base")),
            (Some(_), None) if uncommitted => return Err(several("base")),
            (None, Some(_)) if uncommitted => return Err(several("commit")),
            (Some(branch), None) => ReviewTarget::BaseBranch { branch: branch.clone() },
            (None, Some(sha)) => ReviewTarget::Commit { sha: sha.clone() },
            // Without changes to look at, only the prompt says what to review.
            (None, None) if focus.is_some() && !uncommitted && self.paths.is_none() => {
                ReviewTarget::Custom
            }
            (None, None) => ReviewTarget::UncommittedChanges,
        };
        Ok((target, focus))
    }

    fn paths(&self) -> Result<Vec<String>, ToolError> {
        let paths = self.paths.clone().unwrap_or_default();
        if paths.iter().any(|path| path.trim().is_empty()) {
            return Err(ToolError::argument("paths", "one of them is empty"));
        }
        Ok(paths)
    }
}

/// The prompt for the session's record.
fn in_words(
    title: Option<&str>,
    style: ReviewStyle,
    target: &ReviewTarget,
    focus: Option<&str>,
) -> String {
    let review = match style {
        ReviewStyle::Standard => "Review",
        ReviewStyle::Adversarial => "Review adversarially",
    };
    let target = match target {
        ReviewTarget::UncommittedChanges => " the uncommitted changes".to_owned(),
        ReviewTarget::BaseBranch { branch } => format!(" the changes against {branch}"),
        ReviewTarget::Commit { sha } => format!(" commit {sha}"),
        ReviewTarget::Since { tree } => format!(" the changes since {tree}"),
        ReviewTarget::Custom => String::new(),
    };
    let title = title.map_or_else(String::new, |title| format!("{title}: "));
    let focus = focus.map_or_else(String::new, |text| format!(": {text}"));
    format!("{title}{review}{target}{focus}")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::mcp::arguments;

    fn target(arguments: &Value) -> Result<(ReviewTarget, Option<String>), ToolError> {
        arguments::read::<StartReview>(arguments.as_object().cloned())
            .and_then(|input| input.target())
    }

    #[test]
    fn one_thing_is_reviewed() {
        let base = ReviewTarget::BaseBranch { branch: "main".into() };
        let focus = Some("security".to_owned());
        assert_eq!(target(&json!({})).unwrap().0, ReviewTarget::UncommittedChanges);
        assert_eq!(target(&json!({"base": "main"})).unwrap().0, base);
        assert_eq!(target(&json!({"base": "main", "prompt": "security"})).unwrap(), (base, focus));
        let docs = Some("the docs".to_owned());
        let custom = json!({"prompt": "the docs"});
        assert_eq!(target(&custom).unwrap(), (ReviewTarget::Custom, docs.clone()));
        for more in [json!({"uncommitted": true}), json!({"paths": ["a"]})] {
            let mut arguments = custom.clone();
            arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let expected = (ReviewTarget::UncommittedChanges, docs.clone());
            assert_eq!(target(&arguments).unwrap(), expected, "{arguments}");
        }
    }

    #[test]
    fn contradictions_are_named() {
        for (arguments, argument) in [
            (json!({"uncommitted": true, "base": "main"}), "base"),
            (json!({"base": "main", "commit": "abc"}), "base"),
            (json!({"uncommitted": true, "commit": "abc"}), "commit"),
            (json!({"prompt": " "}), "prompt"),
        ] {
            let error = target(&arguments).unwrap_err();
            assert!(error.message().contains(&format!("`{argument}`")), "{arguments}: {error:?}");
        }
    }
}
