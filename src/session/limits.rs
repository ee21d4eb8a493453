//! The operator's limits, as the configuration has them: what no call can exceed, checked before a session is touched.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;
use smart_default::SmartDefault;

use super::{
    Budget, ContentDigest, Request, SessionConfig, SessionError, Settings, Work,
    paths::{AllowedPath, blocking, is_below, may_be_below},
};
use crate::codex::{Reviewer, Sandbox};

/// What no call can exceed.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, SmartDefault)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// The widest sandbox a call may ask for.
    #[default(Sandbox::WorkspaceWrite)]
    pub sandbox_ceiling: Sandbox,
    /// How much text one turn may give the model, in characters: prompt, instructions, paths, schema and steering together.
    #[default = 1_000_000]
    #[schemars(range(min = 1))]
    pub prompt_characters: usize,
    /// The longest text one result carries, in characters.
    #[default = 40_000]
    #[schemars(range(min = 1000))]
    pub result_characters: usize,
    /// Directories that work and images must be below, links resolved; any if empty.
    #[schemars(extend("format" = "path"))]
    pub roots: Vec<PathBuf>,
    /// What `writableRoots` of a call must be below; a call may name none if empty.
    #[schemars(extend("format" = "path"))]
    pub writable_roots: Vec<PathBuf>,
    /// Whether a call may let commands use the network (`network`).
    pub network: bool,
    /// Whether a call may have a model decide what Codex asks (`approvalsReviewer`).
    pub auto_review: bool,
    /// The models a call may name; any if empty.
    pub models: Vec<String>,
    /// The keys of Codex's configuration a call may set (`config`).
    #[default(harmless_keys())]
    pub config_keys: Vec<String>,
    /// The most changes one review looks at, in bytes of diff, up to 900000. More is refused, never cut.
    #[default = 262_144]
    #[schemars(range(min = 1, max = 900_000))]
    pub review_bytes: u64,
    /// How much of the account's allowance must be left for a new turn, in percent (0 to 99; 0 for any).
    #[schemars(range(max = 99))]
    pub min_remaining: u8,
    /// What becomes of a turn for which less is left.
    pub when_exhausted: WhenExhausted,
    /// How many sessions may have a turn under way at once; any number if not set.
    pub running_turns: Option<usize>,
    /// How many calls may wait for a turn to end, in all sessions together; any number if not set.
    pub queued_calls: Option<usize>,
    /// How many turns may begin a day (UTC); any number if not set.
    pub turns_per_day: Option<u64>,
    /// After how many tokens no new turn begins that day (UTC); any number if not set.
    pub tokens_per_day: Option<u64>,
    /// How many images one call may have.
    #[default = 10]
    pub images: usize,
    /// How big each image may be, in bytes.
    #[default = 20_971_520]
    pub image_bytes: u64,
}

/// Nothing that widens what commands may do.
fn harmless_keys() -> Vec<String> {
    let keys = [
        "hide_agent_reasoning",
        "model_reasoning_effort",
        "model_reasoning_summary",
        "model_verbosity",
        "tools.web_search",
        "web_search",
    ];
    keys.map(str::to_owned).into()
}

/// What becomes of a turn for which too little of the account's allowance is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WhenExhausted {
    /// It is refused, with the time when enough is left again.
    #[default]
    Refuse,
    /// It waits by itself until enough is left.
    Wait,
}

impl Request {
    /// Checks everything that does not depend on the session. Paths are canonical then.
    pub(super) async fn checked(mut self, config: &SessionConfig) -> Result<Self, SessionError> {
        let limits = &config.limits;
        if self.prompt.trim().is_empty() {
            return Err(SessionError::PromptEmpty);
        }
        limits.check_text(&self)?;
        let needs_git =
            matches!(self.work, Work::Review { .. }) || self.settings.worktree == Some(true);
        if config.apart && needs_git {
            return Err(SessionError::OtherUser);
        }
        if let Some(asked) = self.settings.sandbox {
            limits.check_sandbox(asked)?;
        }
        limits.check_widening(&self.settings)?;
        if let Some(roots) = self.settings.writable_roots.take() {
            let roots = limits.writable_roots(roots).await?;
            self.settings.writable_roots = Some(roots.into_iter().map(PathBuf::from).collect());
        }
        if let Some(model) = &self.settings.model {
            limits.check_model(model)?;
        }
        let is_refused = |key: &&String| !limits.config_keys.iter().any(|known| known == *key);
        if let Some(key) = self.options.config.keys().find(is_refused) {
            return Err(SessionError::ConfigNotAllowed { key: key.clone() });
        }
        if let Work::Ask { images, output_schema } = &mut self.work {
            *images = super::images::find(limits, std::mem::take(images)).await?;
            if let Some(schema) = output_schema {
                super::output::check_schema(schema).await?;
            }
        }
        if let Some(path) = self.settings.working_directory.take() {
            let found = limits.find_directory(path).await?;
            self.settings.working_directory = Some(found.into());
        }
        // What was computed before is of what the caller has written.
        self.content = ContentDigest::default();
        self.prepare_digest().await;
        Ok(self)
    }
}

impl Limits {
    /// How much callers may have Codex work.
    pub fn budget(&self) -> Budget {
        Budget {
            running_turns: self.running_turns,
            queued_calls: self.queued_calls,
            turns_per_day: self.turns_per_day,
            tokens_per_day: self.tokens_per_day,
        }
    }

    pub(super) fn check_model(&self, model: &String) -> Result<(), SessionError> {
        if self.models.is_empty() || self.models.contains(model) {
            return Ok(());
        }
        let (model, allowed) = (model.clone(), self.models.clone());
        Err(SessionError::ModelNotAllowed { model, allowed })
    }

    /// Checked on every turn: the operator may have lowered the ceiling since the session pinned its sandbox.
    pub(super) fn check_sandbox(&self, asked: Sandbox) -> Result<(), SessionError> {
        let ceiling = self.sandbox_ceiling;
        if asked > ceiling {
            return Err(SessionError::SandboxAboveCeiling { asked, ceiling });
        }
        Ok(())
    }

    /// Checked on every turn, as the operator may have changed the limits since the session pinned its settings.
    pub(super) fn check_widening(&self, settings: &Settings) -> Result<(), SessionError> {
        if settings.network == Some(true) && !self.network {
            return Err(SessionError::NotAllowed {
                what: "the network",
                setting: "limits.network",
            });
        }
        if settings.approvals_reviewer == Some(Reviewer::AutoReview) && !self.auto_review {
            let what = "approvals decided by a model";
            return Err(SessionError::NotAllowed { what, setting: "limits.auto_review" });
        }
        Ok(())
    }

    /// Finds the directories that commands may write in besides.
    pub(super) async fn writable_roots(
        &self,
        wanted: Vec<PathBuf>,
    ) -> Result<Vec<AllowedPath>, SessionError> {
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let (what, setting) = ("writing outside the working directory", "limits.writable_roots");
        if self.writable_roots.is_empty() {
            return Err(SessionError::NotAllowed { what, setting });
        }
        let allowed = self.writable_roots.clone();
        blocking(move || wanted.iter().map(|path| AllowedPath::directory(&allowed, path)).collect())
            .await
    }

    /// Finds a directory to work in.
    pub(super) async fn find_directory(&self, path: PathBuf) -> Result<AllowedPath, SessionError> {
        let roots = self.roots.clone();
        blocking(move || AllowedPath::directory(&roots, &path)).await
    }

    /// Checks whether the history of work in a directory may be read here. An unknown directory is allowed only if
    /// any is.
    pub(super) async fn check_history(&self, cwd: Option<&Path>) -> Result<(), SessionError> {
        let cwd = cwd.map(Path::to_owned).unwrap_or_default();
        match self.allowed_histories(vec![cwd.clone()]).await?.first() {
            Some(true) => Ok(()),
            _ => Err(SessionError::OutsideRoots { path: cwd }),
        }
    }

    /// Whether the history of work in each of these directories may be read here.
    pub(super) async fn allowed_histories(
        &self,
        directories: Vec<PathBuf>,
    ) -> Result<Vec<bool>, SessionError> {
        let roots = self.roots.clone();
        blocking(move || {
            let is_allowed = |path: PathBuf| {
                match path.canonicalize() {
                    Ok(path) => is_below(&roots, &path),
                    // One that is gone is where it was.
                    Err(_) => may_be_below(&roots, &path),
                }
            };
            Ok(directories.into_iter().map(is_allowed).collect())
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(root: &Path) -> Limits {
        let roots = vec![root.to_owned()];
        Limits { roots, ..Limits::default() }
    }

    #[tokio::test]
    async fn what_is_elsewhere_cannot_be_told_from_what_is_not_there() {
        let root = tempfile::tempdir().unwrap();
        let limits = limits(root.path());
        for path in ["/usr", "/no/such/place"] {
            let refused = limits.find_directory(path.into()).await;
            assert!(matches!(refused, Err(SessionError::OutsideRoots { .. })), "{path}");
        }
        let mistyped = limits.find_directory(root.path().join("mistyped")).await;
        assert!(matches!(mistyped, Err(SessionError::Directory { .. })));
        assert!(limits.check_history(None).await.is_err());
        assert!(Limits::default().check_history(None).await.is_ok());
    }
}
