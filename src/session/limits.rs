//! The operator's limits: what no call can exceed, checked before a session is touched.

use std::{
    fs::File,
    io::{ErrorKind, Read},
    path::{Path, PathBuf},
};

use super::{Request, SessionConfig, SessionError, Work};
use crate::codex::Sandbox;

/// What calls may use.
#[derive(Debug, Clone, Default)]
pub struct Limits {
    /// The widest sandbox. None means the narrowest there is.
    pub sandbox_ceiling: Option<Sandbox>,
    /// The longest prompt, in characters.
    pub prompt_characters: usize,
    /// Directories that work and images must be below, resolved; any if empty.
    pub roots: Vec<PathBuf>,
    /// The models a call may name; any if empty.
    pub models: Vec<String>,
    /// The keys of Codex's configuration a call may set; none if empty.
    pub config_keys: Vec<String>,
    /// How many images one call may have.
    pub images: usize,
    /// How big each may be, in bytes.
    pub image_bytes: u64,
}

/// The beginnings of files that models can see.
const IMAGES: &[(&str, &[u8])] = &[
    ("PNG", b"\x89PNG\r\n\x1a\n"),
    ("JPEG", b"\xff\xd8\xff"),
    ("GIF", b"GIF8"),
    ("WebP", b"RIFF"),
];

impl Request {
    /// Checks what can be checked before a session is touched.
    pub(super) async fn check(&self, config: &SessionConfig) -> Result<(), SessionError> {
        let limits = &config.limits;
        if self.prompt.trim().is_empty() {
            return Err(SessionError::PromptEmpty);
        }
        let length = self.prompt.chars().count();
        if length > limits.prompt_characters {
            return Err(SessionError::PromptTooLong { length, limit: limits.prompt_characters });
        }
        if let Some(asked) = self.settings.sandbox {
            limits.check_sandbox(asked)?;
        }
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

/// Looks at files on a thread of its own: a file system that does not answer must not stop the server.
async fn blocking<T: Send + 'static>(
    look: impl FnOnce() -> Result<T, SessionError> + Send + 'static,
) -> Result<T, SessionError> {
    tokio::task::spawn_blocking(look).await.unwrap_or(Err(SessionError::ShuttingDown))
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

    /// A sandbox pinned before the ceiling was lowered is above it too.
    pub(super) fn check_sandbox(&self, asked: Sandbox) -> Result<(), SessionError> {
        let ceiling = self.ceiling();
        if asked > ceiling {
            return Err(SessionError::SandboxAboveCeiling { asked, ceiling });
        }
        Ok(())
    }

    /// Codex itself would take a directory that is not there and run the turn (observed, all versions).
    pub(super) async fn check_directory(&self, path: &Path) -> Result<(), SessionError> {
        let (roots, path) = (self.roots.clone(), path.to_owned());
        blocking(move || {
            let failed = |reason: String| SessionError::Directory { path: path.clone(), reason };
            // First, so that nobody learns what there is elsewhere.
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

    /// Whether history that belongs to a directory may be read here. One that is unknown may only if any may.
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
    // Before it is opened: opening a pipe would wait for a writer.
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

/// Links are resolved first, so none leads out. Of a path that does not exist the part that does decides.
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
