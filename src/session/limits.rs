//! The operator's limits: what no call can exceed, checked before a session is touched.

use std::{
    fs::File,
    io::{ErrorKind, Read},
    path::{Path, PathBuf},
};

use super::{Budget, Request, SessionConfig, SessionError, Settings, Work};
use crate::codex::{Reviewer, Sandbox};

/// What calls may use.
#[derive(Debug, Clone, Default)]
pub struct Limits {
    /// The widest sandbox. If `None`, only the narrowest is allowed.
    pub sandbox_ceiling: Option<Sandbox>,
    /// The longest prompt, in characters.
    pub prompt_characters: usize,
    /// Working directories and images must be below one of these. If empty, any path is allowed.
    pub roots: Vec<PathBuf>,
    /// What `writableRoots` of a call must be below. If empty, a call may name none.
    pub writable_roots: Vec<PathBuf>,
    /// Whether a call may let commands use the network.
    pub network: bool,
    /// Whether a call may have a model decide what Codex asks.
    pub auto_review: bool,
    /// The models a call may name. If empty, any model is allowed.
    pub models: Vec<String>,
    /// The keys of Codex's configuration that a call may set.
    pub config_keys: Vec<String>,
    /// The most changes one review looks at, in bytes of diff.
    pub review_bytes: u64,
    /// How much of the account's allowance must be left for a new turn, in percent. 0 for none.
    pub min_remaining: u8,
    /// What becomes of a turn for which less is left.
    pub when_exhausted: WhenExhausted,
    /// How much callers may have Codex work.
    pub budget: Budget,
    /// How many images one call may have.
    pub images: usize,
    /// How big one image may be, in bytes.
    pub image_bytes: u64,
}

/// What becomes of a turn for which too little of the account's allowance is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WhenExhausted {
    /// It is refused.
    #[default]
    Refuse,
    /// It waits until enough is left.
    Wait,
}

/// The first bytes of each image format that models can see.
const IMAGES: &[(&str, &[u8])] = &[
    ("PNG", b"\x89PNG\r\n\x1a\n"),
    ("JPEG", b"\xff\xd8\xff"),
    ("GIF", b"GIF8"),
    ("WebP", b"RIFF"),
];

impl Request {
    /// Checks everything that does not depend on the session.
    pub(super) async fn check(&self, config: &SessionConfig) -> Result<(), SessionError> {
        let limits = &config.limits;
        if self.prompt.trim().is_empty() {
            return Err(SessionError::PromptEmpty);
        }
        let length = self.prompt.chars().count();
        if length > limits.prompt_characters {
            return Err(SessionError::PromptTooLong { length, limit: limits.prompt_characters });
        }
        let needs_git =
            matches!(self.work, Work::Review { .. }) || self.settings.worktree == Some(true);
        if config.apart && needs_git {
            return Err(SessionError::OtherUser);
        }
        if let Some(asked) = self.settings.sandbox {
            limits.check_sandbox(asked)?;
        }
        limits.check_widening(&self.settings).await?;
        if let Some(model) = &self.settings.model {
            limits.check_model(model)?;
        }
        let is_refused = |key: &&String| !limits.config_keys.iter().any(|known| known == *key);
        if let Some(key) = self.options.config.keys().find(is_refused) {
            return Err(SessionError::ConfigNotAllowed { key: key.clone() });
        }
        if let Work::Ask { images, output_schema } = &self.work {
            limits.check_images(images).await?;
            if let Some(schema) = output_schema {
                super::output::compile(schema)?;
            }
        }
        match &self.settings.working_directory {
            Some(path) => limits.check_directory(path).await,
            None => Ok(()),
        }
    }
}

/// Runs file checks on a blocking thread, because a file system that hangs must not stop the server.
async fn blocking<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, SessionError> + Send + 'static,
) -> Result<T, SessionError> {
    tokio::task::spawn_blocking(read).await.unwrap_or(Err(SessionError::ShuttingDown))
}

impl Limits {
    /// The widest sandbox a call may have.
    pub fn ceiling(&self) -> Sandbox {
        self.sandbox_ceiling.unwrap_or(Sandbox::ReadOnly)
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
        let ceiling = self.ceiling();
        if asked > ceiling {
            return Err(SessionError::SandboxAboveCeiling { asked, ceiling });
        }
        Ok(())
    }

    /// Checked on every turn, as the operator may have changed the limits since the session pinned its settings.
    pub(super) async fn check_widening(&self, settings: &Settings) -> Result<(), SessionError> {
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
        let wanted = settings.writable_roots.clone().unwrap_or_default();
        if wanted.is_empty() {
            return Ok(());
        }
        let (what, setting) = ("writing outside the working directory", "limits.writable_roots");
        if self.writable_roots.is_empty() {
            return Err(SessionError::NotAllowed { what, setting });
        }
        let allowed = self.writable_roots.clone();
        blocking(move || wanted.iter().try_for_each(|path| check_root(&allowed, path))).await
    }

    /// Needed because Codex runs a turn even if its directory does not exist (observed in all versions).
    pub(super) async fn check_directory(&self, path: &Path) -> Result<(), SessionError> {
        let (roots, path) = (self.roots.clone(), path.to_owned());
        blocking(move || {
            let failed = |reason: String| SessionError::Directory { path: path.clone(), reason };
            // Checked first, so that errors do not reveal which paths exist elsewhere.
            check_root(&roots, &path)?;
            std::fs::read_dir(&path).map(drop).map_err(|error| {
                failed(match error.kind() {
                    ErrorKind::NotFound => "it does not exist".to_owned(),
                    ErrorKind::NotADirectory => "it is not a directory".to_owned(),
                    _ => error.to_string(),
                })
            })
        })
        .await
    }

    /// Checks whether the history of work in a directory may be read here. An unknown directory is allowed only if
    /// any is.
    pub(super) async fn check_history(&self, cwd: Option<&Path>) -> Result<(), SessionError> {
        let (roots, cwd) = (self.roots.clone(), cwd.map(Path::to_owned).unwrap_or_default());
        blocking(move || check_root(&roots, &cwd)).await
    }

    async fn check_images(&self, images: &[PathBuf]) -> Result<(), SessionError> {
        let (count, limit) = (images.len(), self.images);
        if count > limit {
            return Err(SessionError::TooManyImages { count, limit });
        }
        if images.is_empty() {
            return Ok(());
        }
        let (roots, bytes, images) = (self.roots.clone(), self.image_bytes, images.to_vec());
        blocking(move || {
            images.iter().try_for_each(|path| {
                check_root(&roots, path)?;
                check_image(path, bytes)
            })
        })
        .await
    }
}

fn check_image(path: &Path, limit: u64) -> Result<(), SessionError> {
    let failed = |reason: String| SessionError::Image { path: path.to_owned(), reason };
    let found = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => failed("it does not exist".to_owned()),
        _ => failed(error.to_string()),
    };
    // Checked before the file is opened, because opening a pipe waits for a writer.
    let metadata = std::fs::metadata(path).map_err(found)?;
    if !metadata.is_file() {
        return Err(failed("it is not a file".to_owned()));
    }
    if metadata.len() > limit {
        return Err(failed(format!("it has {} bytes, {limit} are allowed", metadata.len())));
    }
    let mut start = Vec::new();
    let read = File::open(path).and_then(|file| file.take(12).read_to_end(&mut start));
    read.map_err(found)?;
    let is_image = IMAGES.iter().any(|(_, magic)| start.starts_with(magic));
    if !is_image {
        let kinds: Vec<_> = IMAGES.iter().map(|(kind, _)| *kind).collect();
        return Err(failed(format!("it is none of {}", kinds.join(", "))));
    }
    Ok(())
}

/// Resolves links first, so that none leads outside the roots. If the path does not exist, its nearest existing
/// ancestor decides.
fn check_root(roots: &[PathBuf], path: &Path) -> Result<(), SessionError> {
    if roots.is_empty() {
        return Ok(());
    }
    let resolved = path.ancestors().find_map(|part| part.canonicalize().ok());
    let is_below = |root: &PathBuf| {
        let root = root.canonicalize().ok();
        resolved.as_ref().zip(root).is_some_and(|(path, root)| path.starts_with(root))
    };
    if roots.iter().any(is_below) {
        return Ok(());
    }
    Err(SessionError::OutsideRoots { path: path.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(root: &Path) -> Limits {
        let roots = vec![root.to_owned()];
        Limits { roots, images: 2, image_bytes: 100, ..Limits::default() }
    }

    #[tokio::test]
    async fn what_is_elsewhere_cannot_be_told_from_what_is_not_there() {
        let root = tempfile::tempdir().unwrap();
        let limits = limits(root.path());
        for path in ["/usr", "/no/such/place"] {
            let refused = limits.check_directory(Path::new(path)).await;
            assert!(matches!(refused, Err(SessionError::OutsideRoots { .. })), "{path}");
        }
        let mistyped = limits.check_directory(&root.path().join("mistyped")).await;
        assert!(matches!(mistyped, Err(SessionError::Directory { .. })));
        assert!(limits.check_history(None).await.is_err());
        assert!(Limits::default().check_history(None).await.is_ok());
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_pipe_is_no_image_and_stops_nothing() {
        let root = tempfile::tempdir().unwrap();
        let pipe = root.path().join("pipe.png");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        )
        .unwrap();
        let refused = limits(root.path()).check_images(&[pipe]).await.unwrap_err().to_string();
        assert!(refused.ends_with("it is not a file"), "{refused}");
        let many = vec![PathBuf::from("a.png"); 3];
        let refused = limits(root.path()).check_images(&many).await;
        assert!(matches!(refused, Err(SessionError::TooManyImages { count: 3, limit: 2 })));
    }
}
