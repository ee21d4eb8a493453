//! The operator's limits: what no call can exceed, checked before a session is touched.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use super::{Request, SessionConfig, SessionError, Work};
use crate::codex::Sandbox;

/// What calls may use.
#[derive(Debug, Clone, Default)]
pub struct Limits {
    /// The widest sandbox; none is the narrowest there is.
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
    pub(super) fn check(&self, config: &SessionConfig) -> Result<(), SessionError> {
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
        if let Some(model) = &self.settings.model
            && !limits.models.is_empty()
            && !limits.models.contains(model)
        {
            let allowed = limits.models.clone();
            return Err(SessionError::ModelNotAllowed { model: model.clone(), allowed });
        }
        let is_refused = |key: &&String| !limits.config_keys.iter().any(|known| known == *key);
        if let Some(key) = self.options.config.keys().find(is_refused) {
            return Err(SessionError::ConfigNotAllowed { key: key.clone() });
        }
        if let Work::Ask { images, output_schema } = &self.work {
            limits.check_images(images)?;
            if let Some(schema) = output_schema {
                super::output::compile(schema)?;
            }
        }
        match &self.settings.working_directory {
            Some(path) => limits.check_directory(path),
            None => Ok(()),
        }
    }
}

impl Limits {
    /// The widest sandbox a call may have.
    pub fn ceiling(&self) -> Sandbox {
        self.sandbox_ceiling.unwrap_or(Sandbox::ReadOnly)
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
    pub(super) fn check_directory(&self, path: &Path) -> Result<(), SessionError> {
        let failed = |reason: String| SessionError::Directory { path: path.to_owned(), reason };
        std::fs::read_dir(path).map_err(|error| {
            failed(match error.kind() {
                std::io::ErrorKind::NotFound => "it does not exist".to_owned(),
                std::io::ErrorKind::NotADirectory => "it is not a directory".to_owned(),
                _ => error.to_string(),
            })
        })?;
        self.check_root(path)
    }

    fn check_images(&self, images: &[PathBuf]) -> Result<(), SessionError> {
        if images.len() > self.images {
            let reason = format!("there are {}, {} are allowed", images.len(), self.images);
            let path = images.last().cloned().unwrap_or_default();
            return Err(SessionError::Image { path, reason });
        }
        images.iter().try_for_each(|path| {
            let failed = |reason: String| SessionError::Image { path: path.clone(), reason };
            self.check_root(path)?;
            let mut file = File::open(path).map_err(|error| match error.kind() {
                std::io::ErrorKind::NotFound => failed("it does not exist".to_owned()),
                _ => failed(error.to_string()),
            })?;
            let metadata = file.metadata().map_err(|error| failed(error.to_string()))?;
            if !metadata.is_file() {
                return Err(failed("it is not a file".to_owned()));
            }
            if metadata.len() > self.image_bytes {
                let (size, limit) = (metadata.len(), self.image_bytes);
                return Err(failed(format!("it has {size} bytes, {limit} are allowed")));
            }
            let mut start = Vec::new();
            let read = file.by_ref().take(12).read_to_end(&mut start);
            read.map_err(|error| failed(error.to_string()))?;
            let is_image = IMAGES.iter().any(|(_, magic)| start.starts_with(magic));
            if !is_image {
                let kinds: Vec<_> = IMAGES.iter().map(|(kind, _)| *kind).collect();
                return Err(failed(format!("it is none of {}", kinds.join(", "))));
            }
            Ok(())
        })
    }

    /// Links are resolved first, so none leads out.
    fn check_root(&self, path: &Path) -> Result<(), SessionError> {
        if self.roots.is_empty() {
            return Ok(());
        }
        let resolved = path.canonicalize().ok();
        let is_below = |root: &PathBuf| {
            let root = root.canonicalize().ok();
            resolved.as_ref().zip(root).is_some_and(|(path, root)| path.starts_with(root))
        };
        if self.roots.iter().any(is_below) {
            return Ok(());
        }
        Err(SessionError::OutsideRoots { path: path.to_owned() })
    }
}
