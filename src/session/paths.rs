//! Paths that calls name, as they are on disk: what is there, without links, below what the operator allows.
//!
//! A path is text, and two programs may read the same text differently (`a/missing/../b`), or at different times (a link
//! is put in its place). So what is checked is what is there, by its canonical path, and that path is what Codex gets.
//! Only the check makes an [`AllowedPath`]. Codex itself resolves its directory again at each command, so a command of
//! another session can still put a link there while a turn runs: that no server can see (`docs/serving.md`).

use std::{
    fs::Metadata,
    io::{self, ErrorKind},
    ops::Deref,
    path::{Component, Path, PathBuf},
};

use super::SessionError;

/// What is at a path, however it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileId {
    device: u64,
    inode: u64,
}

/// Something that is there, below what is allowed, by its canonical path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AllowedPath {
    path: PathBuf,
    id: Option<FileId>,
}

impl Deref for AllowedPath {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.path
    }
}

impl From<AllowedPath> for PathBuf {
    fn from(allowed: AllowedPath) -> Self {
        allowed.path
    }
}

/// Runs file checks on a blocking thread, because a file system that hangs must not stop the server.
pub(super) async fn blocking<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, SessionError> + Send + 'static,
) -> Result<T, SessionError> {
    tokio::task::spawn_blocking(read).await.unwrap_or(Err(SessionError::ShuttingDown))
}

impl AllowedPath {
    /// Finds a directory that can be read, below one of the roots; anywhere if there are none.
    ///
    /// # Errors
    /// [`SessionError::OutsideRoots`], also for what is not there unless it would be below a root: what there is
    /// elsewhere is not told. [`SessionError::Directory`] if it cannot be worked in.
    pub(super) fn directory(roots: &[PathBuf], path: &Path) -> Result<Self, SessionError> {
        let failed = |error: &io::Error| SessionError::Directory {
            path: path.to_owned(),
            reason: in_words(error),
        };
        let (found, _) = Self::find(roots, path, failed)?;
        // Needed because Codex runs a turn even if its directory does not exist (observed in all versions).
        std::fs::read_dir(&found.path).map_err(|error| failed(&error))?;
        Ok(found)
    }

    /// Finds whatever is at a path below one of the roots. `failed` says why it cannot be used.
    pub(super) fn find(
        roots: &[PathBuf],
        path: &Path,
        failed: impl Fn(&io::Error) -> SessionError,
    ) -> Result<(Self, Metadata), SessionError> {
        let outside = || SessionError::OutsideRoots { path: path.to_owned() };
        let canonical = match path.canonicalize() {
            Ok(canonical) => canonical,
            Err(error) if may_be_below(roots, path) => return Err(failed(&error)),
            Err(_) => return Err(outside()),
        };
        if !is_below(roots, &canonical) {
            return Err(outside());
        }
        // Without following links: if there is one by now, it was put there since.
        let found = std::fs::symlink_metadata(&canonical).map_err(|error| failed(&error))?;
        if found.is_symlink() {
            return Err(SessionError::Moved { path: canonical });
        }
        Ok((Self { path: canonical, id: id_of(&found) }, found))
    }

    /// Fails if this directory is not at its path any more.
    ///
    /// # Errors
    /// [`SessionError::Moved`].
    pub(super) fn check_unchanged(&self) -> Result<(), SessionError> {
        let is_same = self.path.canonicalize().is_ok_and(|now| now == self.path)
            && std::fs::symlink_metadata(&self.path).is_ok_and(|now| id_of(&now) == self.id);
        if is_same { Ok(()) } else { Err(SessionError::Moved { path: self.path.clone() }) }
    }

    /// Fails if it was found by another path than the one a session has kept, which was canonical: a link was put there.
    ///
    /// # Errors
    /// [`SessionError::Moved`].
    pub(super) fn check_is(&self, kept: &Path) -> Result<(), SessionError> {
        if self.path == kept { Ok(()) } else { Err(SessionError::Moved { path: kept.to_owned() }) }
    }
}

/// Whether a path is below one of the roots, or there are none.
pub(super) fn is_below(roots: &[PathBuf], canonical: &Path) -> bool {
    let mut real = roots.iter().filter_map(|root| root.canonicalize().ok());
    roots.is_empty() || real.any(|root| canonical.starts_with(root))
}

/// Whether something that is not there would be below one of the roots, as far as can be said without guessing: by
/// what there is of it, if the rest leads nowhere else.
pub(super) fn may_be_below(roots: &[PathBuf], path: &Path) -> bool {
    let leads_up = path.components().any(|part| part == Component::ParentDir);
    let there = path.ancestors().find_map(|part| part.canonicalize().ok());
    roots.is_empty() || (!leads_up && there.is_some_and(|there| is_below(roots, &there)))
}

fn in_words(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "it does not exist".to_owned(),
        ErrorKind::NotADirectory => "it is not a directory".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "other systems have none")]
fn id_of(found: &Metadata) -> Option<FileId> {
    use std::os::unix::fs::MetadataExt;

    Some(FileId { device: found.dev(), inode: found.ino() })
}

#[cfg(not(unix))]
fn id_of(_: &Metadata) -> Option<FileId> {
    None
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    /// A folder with `allowed/inner` and `victim`, and what leads from the one to the other.
    fn world() -> (tempfile::TempDir, PathBuf) {
        let world = tempfile::tempdir().unwrap();
        let root = world.path().canonicalize().unwrap();
        for folder in ["allowed/inner", "victim/inner"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        symlink(root.join("victim"), root.join("allowed/link")).unwrap();
        symlink("../victim/./inner", root.join("allowed/relative")).unwrap();
        symlink(root.join("allowed/relative"), root.join("allowed/twice")).unwrap();
        symlink("/proc/self/root", root.join("allowed/magic")).unwrap();
        symlink(root.join("allowed/inner"), root.join("victim/back")).unwrap();
        (world, root)
    }

    #[test]
    fn no_way_leads_out_of_what_is_allowed() {
        let (_world, root) = world();
        let allowed = [root.join("allowed")];
        for way in [
            "allowed/nope/../../victim",
            "allowed/inner/nope/../../../victim",
            "allowed/../victim",
            "allowed/link",
            "allowed/link/inner",
            "allowed/link/nope",
            "allowed/link/../victim",
            "allowed/relative",
            "allowed/twice",
            "allowed/magic",
            "allowed/magic/etc",
            "allowed/./inner/../../victim/.",
            "allowed-too",
            "victim",
            ".",
        ] {
            let found = AllowedPath::directory(&allowed, &root.join(way));
            assert!(matches!(found, Err(SessionError::OutsideRoots { .. })), "{way}: {found:?}");
        }
        assert!(AllowedPath::directory(&allowed, Path::new("")).is_err());
        assert!(AllowedPath::directory(&allowed, Path::new("/no/such/place")).is_err());
    }

    #[test]
    fn what_is_allowed_is_found_by_its_canonical_path() {
        let (_world, root) = world();
        let allowed = [root.join("allowed")];
        for way in
            ["allowed/inner", "allowed/../allowed/./inner", "victim/back", "allowed/inner/../inner"]
        {
            let found = AllowedPath::directory(&allowed, &root.join(way)).unwrap();
            assert_eq!(*found, *root.join("allowed/inner"), "{way}");
        }
        let missing = AllowedPath::directory(&allowed, &root.join("allowed/mistyped"));
        assert!(matches!(missing, Err(SessionError::Directory { .. })), "{missing:?}");
        // Without roots everything is allowed that is there, and nothing that is not.
        AllowedPath::directory(&[], &root.join("allowed/link")).unwrap();
        assert!(AllowedPath::directory(&[], &root.join("allowed/nope/../../victim")).is_err());
    }

    #[test]
    fn what_is_put_in_its_place_is_noticed() {
        let (_world, root) = world();
        let (inner, aside) = (root.join("allowed/inner"), root.join("allowed/aside"));
        let found = AllowedPath::directory(&[root.join("allowed")], &inner).unwrap();
        found.check_unchanged().unwrap();
        let swaps: [&dyn Fn(); 3] = [
            &|| symlink(root.join("victim"), &inner).unwrap(),
            // A link to the very same directory.
            &|| symlink(&aside, &inner).unwrap(),
            &|| fs::create_dir(&inner).unwrap(),
        ];
        for swap in swaps {
            fs::rename(&inner, &aside).unwrap();
            assert!(matches!(found.check_unchanged(), Err(SessionError::Moved { .. })));
            swap();
            assert!(matches!(found.check_unchanged(), Err(SessionError::Moved { .. })));
            fs::remove_file(&inner).or_else(|_| fs::remove_dir(&inner)).unwrap();
            fs::rename(&aside, &inner).unwrap();
            found.check_unchanged().unwrap();
        }
        // A folder above it.
        fs::rename(root.join("allowed"), root.join("before")).unwrap();
        symlink(root.join("before"), root.join("allowed")).unwrap();
        assert!(matches!(found.check_unchanged(), Err(SessionError::Moved { .. })));
    }
}
