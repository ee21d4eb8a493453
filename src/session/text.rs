//! How much text of a caller's reaches the model, by whichever path: counted here alone, and held against one limit.

use serde_json::Value;

use super::{Limits, Request, SessionError, Work};
use crate::{codex::ThreadOptions, git::ReviewTarget};

/// How many characters a text has.
pub(super) fn characters(text: &str) -> usize {
    text.chars().count()
}

impl Limits {
    /// Fails if a call has more text for the model than it may: prompt, instructions, configuration, the schema of the
    /// answer, and what a review is about. Images are bounded by themselves.
    pub(super) fn check_text(&self, request: &Request) -> Result<(), SessionError> {
        let ThreadOptions { base_instructions, developer_instructions, config, .. } =
            &request.options;
        let told = [base_instructions, developer_instructions].into_iter().flatten();
        let mut length = characters(&request.prompt);
        length += told.map(|text| characters(text)).sum::<usize>();
        length += config.iter().map(|(key, value)| characters(key) + in_json(value)).sum::<usize>();
        length += request.worktree.base.as_deref().map_or(0, characters);
        length += match &request.work {
            Work::Ask { output_schema, .. } => output_schema.as_ref().map_or(0, in_json),
            // The prompt is only what the record says of it.
            Work::Review { target, paths, focus, .. } => {
                paths.iter().map(|path| characters(path)).sum::<usize>()
                    + focus.as_deref().map_or(0, characters)
                    + match target {
                        ReviewTarget::BaseBranch { branch: name }
                        | ReviewTarget::Commit { sha: name }
                        | ReviewTarget::Since { tree: name } => characters(name),
                        ReviewTarget::UncommittedChanges | ReviewTarget::Custom => 0,
                    }
            }
            Work::Search => 0,
        };
        self.check_characters(length)
    }

    /// Fails if a turn that has been given `before` would have more than it may with one more prompt.
    pub(super) fn check_more_text(&self, before: usize, prompt: &str) -> Result<(), SessionError> {
        if prompt.trim().is_empty() {
            return Err(SessionError::PromptEmpty);
        }
        self.check_characters(before.saturating_add(characters(prompt)))
    }

    fn check_characters(&self, length: usize) -> Result<(), SessionError> {
        let limit = self.prompt_characters;
        if length > limit { Err(SessionError::PromptTooLong { length, limit }) } else { Ok(()) }
    }
}

/// How many characters a value has as the model sees it. Stops counting where no limit is that high.
fn in_json(value: &Value) -> usize {
    characters(&value.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::session::ReviewStyle;

    #[test]
    fn every_text_counts_by_whichever_path_it_comes() {
        let limits = Limits { prompt_characters: 100, ..Limits::default() };
        let long = || "é".repeat(97);
        let ask = || Request::ask("abc");
        let review = |paths: Vec<String>, focus: Option<String>, target: ReviewTarget| Request {
            work: Work::Review { target, paths, focus, style: ReviewStyle::Standard },
            ..ask()
        };
        let with = |change: &dyn Fn(&mut Request)| {
            let mut request = ask();
            change(&mut request);
            request
        };
        let custom = ReviewTarget::Custom;
        let requests = [
            Request::ask("é".repeat(100)),
            with(&|it| it.options.base_instructions = Some(long())),
            with(&|it| it.options.developer_instructions = Some(long())),
            with(&|it| drop(it.options.config.insert("k".into(), "x".repeat(94).into()))),
            with(&|it| it.worktree.base = Some(long())),
            with(&|it| {
                let output_schema = Some(json!({"title": "x".repeat(85)}));
                it.work = Work::Ask { images: Vec::new(), output_schema };
            }),
            review(vec!["x".repeat(90), "y".repeat(7)], None, custom.clone()),
            review(Vec::new(), Some(long()), custom),
            review(Vec::new(), None, ReviewTarget::BaseBranch { branch: long() }),
            review(Vec::new(), None, ReviewTarget::Commit { sha: long() }),
        ];
        for mut request in requests {
            limits.check_text(&request).unwrap_or_else(|error| panic!("{error}: {request:?}"));
            request.prompt.push('x');
            let error = limits.check_text(&request).unwrap_err();
            assert!(matches!(error, SessionError::PromptTooLong { length: 101, limit: 100 }));
        }
        assert!(limits.check_more_text(90, "0123456789").is_ok());
        assert!(limits.check_more_text(91, "0123456789").is_err());
        assert!(matches!(limits.check_more_text(0, " "), Err(SessionError::PromptEmpty)));
        assert!(limits.check_more_text(usize::MAX, "x").is_err());
    }
}
