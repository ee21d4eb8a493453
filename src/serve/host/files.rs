//! Where hosts can be found: a folder that only this user can look into.

use std::{
    collections::BTreeSet,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::Key;
use crate::system::{is_private, private_folder};

/// The longest path of a socket, with something to spare: Linux takes 107 bytes, macOS 103.
const LONGEST: usize = 100;

/// What is added to the folder's path: a slash, 16 letters and an ending.
const FILE_NAME: usize = 1 + 16 + 5;

/// Why there is no host to be had.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// There is no folder for its socket.
    #[error(
        "no folder for a host's socket: neither `XDG_RUNTIME_DIR` nor a state folder is known whose path is short enough"
    )]
    NoFolder,
    /// The folder belongs to another user, is a link, or others could write to it.
    #[error("{} is not for this user alone", path.display())]
    NotPrivate { path: PathBuf },
    /// The folder or a file in it cannot be used.
    #[error("cannot use {}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// It could not be started.
    #[error("cannot start a host")]
    Start(#[source] io::Error),
    /// It did not answer in time.
    #[error("the host does not answer")]
    Silent,
    /// It ended before it served anybody.
    #[error("the host ended at once; {} says why", log.display())]
    Ended { log: PathBuf },
}

/// The files of one host.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HostFiles {
    folder: PathBuf,
    key: Key,
    log_folder: PathBuf,
}

impl HostFiles {
    /// Where the host with this key is. `runtime` is the folder for sockets, if the system has one; `state` is where
    /// this program keeps what lasts.
    ///
    /// # Errors
    /// [`HostError::NoFolder`].
    pub fn new(key: Key, runtime: Option<&Path>, state: Option<&Path>) -> Result<Self, HostError> {
        let folder = folder(runtime, state)?;
        let log_folder = state.map_or_else(|| folder.clone(), |state| state.join("hosts"));
        Ok(Self { folder, key, log_folder })
    }

    /// Makes its folders, for this user alone.
    ///
    /// # Errors
    /// [`HostError::NotPrivate`], [`HostError::File`].
    pub(super) fn prepare(&self) -> Result<(), HostError> {
        private(&self.folder)?;
        private(&self.log_folder)
    }

    /// Whether only this user can have put something there.
    pub(super) fn is_private(&self) -> bool {
        is_private(&self.folder).unwrap_or_default()
    }

    /// Every folder where hosts of this user can be, whatever their environment.
    pub fn folders(runtime: Option<&Path>, state: Option<&Path>) -> Vec<PathBuf> {
        let user = rustix::process::getuid().as_raw();
        // A client of a desktop may not have the variable that names it.
        let usual = PathBuf::from(format!("/run/user/{user}"));
        let runtimes = [runtime, Some(usual.as_path())].map(|path| folder(Some(path?), None).ok());
        let found = runtimes.into_iter().chain([folder(None, state).ok()]).flatten();
        // Whatever is in a folder that others can write to is not ours.
        let found = found.filter(|folder| is_private(folder).unwrap_or_default());
        found.collect::<BTreeSet<_>>().into_iter().collect()
    }

    pub(in crate::serve) fn key(&self) -> &Key {
        &self.key
    }

    /// The socket it listens on.
    pub fn socket(&self) -> PathBuf {
        self.file("sock")
    }

    /// Held by the host until it begins to end.
    pub(super) fn lock(&self) -> PathBuf {
        self.file("lock")
    }

    /// Held by whoever starts one.
    pub(super) fn starting(&self) -> PathBuf {
        self.folder.join("starting")
    }

    /// Its log.
    pub fn log(&self) -> PathBuf {
        self.log_folder.join(format!("{}.log", self.key.short()))
    }

    fn file(&self, ending: &str) -> PathBuf {
        self.folder.join(format!("{}.{ending}", self.key.short()))
    }
}

fn folder(runtime: Option<&Path>, state: Option<&Path>) -> Result<PathBuf, HostError> {
    // A variable may be left over from another user, or from where the folder exists.
    let runtime = runtime.filter(|folder| is_own(folder).unwrap_or_default());
    let runtime = runtime.map(|folder| folder.join("codex-mcp-server"));
    let state = state.map(|state| state.join("hosts"));
    // Never the folder for temporary files: what Codex has started can write there, and would be taken for a host.
    let fits = |folder: &PathBuf| folder.as_os_str().len() + FILE_NAME <= LONGEST;
    runtime.into_iter().chain(state).find(fits).ok_or(HostError::NoFolder)
}

/// Makes a folder for this user alone, or checks that it is one.
fn private(folder: &Path) -> Result<(), HostError> {
    let path = folder.to_owned();
    private_folder(folder).map_err(|source| match source.kind() {
        io::ErrorKind::PermissionDenied => HostError::NotPrivate { path },
        _ => HostError::File { path, source },
    })
}

/// Whether a folder is this user's own.
fn is_own(folder: &Path) -> io::Result<bool> {
    let found = fs::symlink_metadata(folder)?;
    Ok(found.is_dir() && found.uid() == rustix::process::geteuid().as_raw())
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, os::unix::fs::PermissionsExt};

    use super::*;
    use crate::{config::Config, serve::host::Identity};

    fn key() -> Key {
        let (config, variables) = (Config::default(), BTreeMap::new());
        let executable = Path::new("/x");
        let identity =
            Identity { executable, config: &config, variables: &variables, standing: "" };
        Key::of(&identity)
    }

    #[test]
    fn a_socket_is_near_and_its_path_short_enough_everywhere() {
        let state = Path::new("/home/u/.local/state/codex-mcp-server");
        let runtime = tempfile::tempdir().unwrap();
        let own = runtime.path().join("codex-mcp-server");
        assert_eq!(folder(Some(runtime.path()), Some(state)).unwrap(), own);
        let missing = runtime.path().join("missing");
        assert_eq!(folder(Some(&missing), Some(state)).unwrap(), state.join("hosts"));
        assert_eq!(folder(None, Some(state)).unwrap(), state.join("hosts"));
        assert!(matches!(folder(None, None), Err(HostError::NoFolder)));
        let deep = PathBuf::from("/x".repeat(60));
        assert!(matches!(folder(None, Some(&deep)), Err(HostError::NoFolder)));
    }

    #[test]
    fn a_folder_that_others_can_use_is_refused() {
        let state = tempfile::tempdir().unwrap();
        let files = HostFiles::new(key(), None, Some(state.path())).unwrap();
        assert!(!files.is_private());
        files.prepare().unwrap();
        assert!(files.is_private());
        assert_eq!(files.log().parent(), files.socket().parent());
        let open = fs::Permissions::from_mode(0o777);
        fs::set_permissions(state.path().join("hosts"), open).unwrap();
        let refused = files.prepare();
        assert!(matches!(refused, Err(HostError::NotPrivate { .. })), "{refused:?}");
        assert!(!files.is_private());
    }
}
