//! What the model is given in a turn, and what its answer is then read against.

use std::path::PathBuf;

use serde_json::Value;
use tempfile::TempDir;

use super::plan::Plan;
use crate::session::{Request, SessionConfig, SessionError, Work, images::Images, review};

/// What the model is given in a turn.
#[derive(Debug)]
pub(super) struct Input {
    pub(super) text: String,
    pub(super) images: Vec<PathBuf>,
    pub(super) output_schema: Option<Value>,
    pub(super) expected: Expected,
}

/// What its answer is read against.
#[derive(Debug, Default)]
pub(super) struct Expected {
    /// Where the turn runs.
    pub(super) directory: PathBuf,
    /// The lines that a review is about, if it is about changes.
    pub(super) changed: Option<review::ChangedLines>,
    /// The images that the model is shown, as long as the turn runs.
    #[expect(dead_code, reason = "what it holds is gone with it")]
    pub(super) images: Option<TempDir>,
}

impl Input {
    /// Collects it. For a review that is the diff as it is now.
    ///
    /// # Errors
    /// [`SessionError::Repository`] if there is nothing to review, or too much.
    pub(super) async fn collect(
        request: &Request,
        plan: &Plan,
        config: &SessionConfig,
    ) -> Result<Self, SessionError> {
        let expected = Expected { directory: plan.directory.clone(), ..Expected::default() };
        let text = request.prompt.clone();
        let prompt = Self { text, images: Vec::new(), output_schema: None, expected };
        match &request.work {
            Work::Search => Ok(prompt),
            Work::Ask { images, output_schema } => {
                let images = Images::copy(&config.limits, config.images.as_deref(), images).await?;
                Ok(Self {
                    images: images.paths,
                    output_schema: output_schema.clone(),
                    expected: Expected { images: images.copies, ..prompt.expected },
                    ..prompt
                })
            }
            Work::Review { target, paths, focus, style } => {
                let here = plan.apart.as_ref().map_or(&plan.directory, |apart| &apart.root);
                config.limits.check_repository(&config.git.repository(here)).await?;
                let repository = match &plan.apart {
                    Some(apart) => config.git.inside(&apart.worktree(), &plan.directory),
                    None => config.git.repository(&plan.directory),
                };
                let limit = config.limits.review_bytes;
                let diff = repository.changes(target, paths, limit).await?;
                let lines = diff.as_ref().map(|it| review::ChangedLines::read(&it.root, &it.diff));
                Ok(Self {
                    text: review::prompt(*style, target, diff.as_ref(), focus.as_deref()),
                    output_schema: Some(review::schema()),
                    expected: Expected { changed: lines, ..prompt.expected },
                    ..prompt
                })
            }
        }
    }
}
