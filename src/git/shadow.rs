//! A git folder of our own that stands in for a repository's: its refs are links to the repository's, its objects an
//! alternate, and its configuration is what we wrote. See [`super`] for why.
//!
//! It is removed when it is dropped; what a killed process has left is swept at the next start.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use super::{
    Git, Repository,
    command::{self, LIST, Output},
    error::RepositoryError,
    files,
    survey::Layout,
};
use crate::system::private_folder;

/// What is in force in each shadow, whatever the user has configured: nothing runs beside a command, names are not
/// quoted, no file is hidden, and git-lfs uses what is on disk and downloads nothing.
const FORCED: &[(&str, &str)] = &[
    ("core.bare", "false"),
    ("core.fsmonitor", "false"),
    ("core.quotePath", "false"),
    ("core.sparseCheckout", "false"),
    ("core.splitIndex", "false"),
    ("core.untrackedCache", "false"),
    ("core.looseCompression", "1"),
    // Codex can lay a link where the log of a new branch would be.
    ("core.logAllRefUpdates", "false"),
    ("submodule.recurse", "false"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("merge.verifySignatures", "false"),
    // Nothing listens there. Without it a repository's `.lfsconfig` says from where git-lfs downloads.
    ("lfs.url", "http://127.0.0.1:1/"),
    ("lfs.transfer.maxretries", "1"),
    ("lfs.skipdownloaderrors", "true"),
    ("user.name", "codex-mcp-server"),
    ("user.email", "codex-mcp-server@localhost"),
];

/// Refs that are files beside `HEAD`.
const BESIDE_HEAD: &[&str] =
    &["ORIG_HEAD", "FETCH_HEAD", "MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD"];

/// The largest index that is copied, in bytes: one of some two million files.
const LARGEST: u64 = 256 * 1024 * 1024;

/// The largest other file of a git folder that is copied, in bytes.
const LARGEST_OTHER: u64 = 16 * 1024 * 1024;

/// What a git folder must hold itself, with all that is below: a link would lead git to read, or write, where it points.
const HELD: &[&str] = &["objects", "refs", "packed-refs", "reftable", "info", "lfs"];

/// Of how many files an index may be made.
const SHARED_INDEXES: usize = 64;

/// A shadow that was left behind is older than this: a younger one may be in the making.
const SETTLED: Duration = Duration::from_mins(10);

/// Where new objects go.
#[derive(Debug, Clone)]
pub(super) enum Objects {
    /// Into the shadow: they are removed with it.
    Passing,
    /// Into this folder, which lasts.
    In(PathBuf),
    /// Into the repository, because the user asked for them there.
    Repository,
}

/// A private git folder over a repository.
#[derive(Debug)]
pub(super) struct Shadow {
    git: Git,
    folder: tempfile::TempDir,
    _lock: File,
    pub(super) layout: Layout,
    variables: Vec<(OsString, OsString)>,
}

impl Repository {
    /// A shadow of the repository. Objects are also read from `alternates`.
    pub(super) async fn shadow(
        &self,
        objects: Objects,
        alternates: &[PathBuf],
    ) -> Result<Shadow, RepositoryError> {
        let layout = self.layout().await?;
        let (git, alternates) = (self.git.clone(), alternates.to_vec());
        let shadows = git.folder("shadows")?;
        git.swept(&shadows).await;
        let made = move || Shadow::make(git, &shadows, layout, objects, alternates);
        let made = tokio::task::spawn_blocking(made).await;
        made.map_err(io::Error::other).flatten().map_err(|error| RepositoryError::Failed {
            action: "make a private git folder",
            reason: error.to_string(),
        })
    }
}

impl Git {
    /// Removes once what killed processes have left.
    async fn swept(&self, shadows: &Path) {
        let folder = shadows.to_owned();
        let sweep = || async {
            let swept = tokio::task::spawn_blocking(move || sweep(&folder)).await;
            tracing::debug!(?swept, "shadows of killed processes");
        };
        self.0.swept.get_or_init(sweep).await;
    }
}

impl Shadow {
    fn make(
        git: Git,
        shadows: &Path,
        layout: Layout,
        objects: Objects,
        alternates: Vec<PathBuf>,
    ) -> io::Result<Self> {
        private_folder(shadows)?;
        let folder = tempfile::Builder::new().prefix("shadow-").tempdir_in(shadows)?;
        let lock = File::create(folder.path().join("lock"))?;
        lock.lock()?;
        let common = &layout.common_dir;
        let at = |name: &str| folder.path().join(name);
        for folder in [common, &layout.git_dir] {
            if fs::canonicalize(folder)? != *folder {
                let reason = format!("`{}` is a link by now", folder.display());
                return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
            }
        }
        for held in HELD {
            files::plain_below(common, Path::new(held))?;
            files::all_plain(&common.join(held))?;
        }
        fs::write(at("config"), format_of(&layout))?;
        fs::write(at("HEAD"), &layout.head)?;
        fs::create_dir(at("objects"))?;
        fs::create_dir(at("worktrees"))?;
        fs::create_dir(at("info"))?;
        link(&common.join("refs"), &at("refs"))?;
        link(&common.join("packed-refs"), &at("packed-refs"))?;
        if layout.has_reftable {
            link(&common.join("reftable"), &at("reftable"))?;
        }
        for name in BESIDE_HEAD {
            copy_if_any(&layout.git_dir.join(name), &at(name))?;
        }
        for name in ["info/exclude", "info/attributes", "shallow"] {
            copy_if_any(&common.join(name), &at(name))?;
        }
        // It has the last word: with a large one, git's merge takes gigabytes, or crashes.
        let mut attributes =
            File::options().append(true).create(true).open(at("info/attributes"))?;
        attributes.write_all(b"\n* conflict-marker-size=7\n")?;
        // An index may be split over several files, of which it names the one that git is to read.
        let shared = fs::read_dir(&layout.git_dir)?.flatten();
        let is_shared =
            |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with("sharedindex.");
        for entry in shared.filter(is_shared).take(SHARED_INDEXES) {
            link(&entry.path(), &folder.path().join(entry.file_name()))?;
        }
        let theirs = common.join("objects");
        // What git-lfs takes out of files lasts as long as what refers to it.
        let large = match (&objects, alternates.first()) {
            (Objects::In(folder), _) | (Objects::Passing, Some(folder)) => folder.join("lfs"),
            (Objects::Passing, None) => at("lfs"),
            (Objects::Repository, _) => common.join("lfs"),
        };
        let own = match objects {
            Objects::Passing => at("objects"),
            Objects::In(folder) => {
                private_folder(&folder)?;
                folder
            }
            Objects::Repository => theirs.clone(),
        };
        // Git complains of a folder that is not there.
        let there = alternates.into_iter().filter(|folder| folder.is_dir());
        let read: Vec<_> = [theirs].into_iter().chain(there).map(quoted).collect();
        let variables = [
            ("GIT_DIR", folder.path().as_os_str().to_owned()),
            ("GIT_OBJECT_DIRECTORY", own.into_os_string()),
            ("GIT_ALTERNATE_OBJECT_DIRECTORIES", read.join(OsStr::new(LIST_SEPARATOR))),
            // The user's configuration is carried over by the layout.
            ("GIT_CONFIG_NOSYSTEM", "1".into()),
            ("GIT_CONFIG_GLOBAL", NOWHERE.into()),
        ];
        let variables = variables.map(|(name, value)| (OsString::from(name), value));
        let configuration = configured(&layout, &large.to_string_lossy());
        let variables = variables.into_iter().chain(configuration).collect();
        Ok(Self { git, folder, _lock: lock, layout, variables })
    }

    pub(super) fn git(&self) -> &Git {
        &self.git
    }

    /// A file in the shadow.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The index that commands use unless they are told another.
    pub(super) fn index(&self) -> PathBuf {
        self.file("index")
    }

    /// Runs git on the working tree with `input` on stdin; at most `limit` bytes of what it writes are kept.
    ///
    /// # Errors
    /// [`RepositoryError::Failed`] if git cannot be run or takes too long.
    pub(super) async fn run(
        &self,
        action: &'static str,
        arguments: &[&str],
        input: &[u8],
        limit: u64,
    ) -> Result<Output, RepositoryError> {
        self.run_on(&self.index(), action, arguments, input, limit).await
    }

    /// The same with another index.
    pub(super) async fn run_on(
        &self,
        index: &Path,
        action: &'static str,
        arguments: &[&str],
        input: &[u8],
        limit: u64,
    ) -> Result<Output, RepositoryError> {
        let top = &self.layout.top;
        let mut variables = self.variables.clone();
        variables.push(("GIT_WORK_TREE".into(), top.as_os_str().to_owned()));
        variables.push(("GIT_INDEX_FILE".into(), index.as_os_str().to_owned()));
        let environment = &self.git.0.environment;
        command::run(environment, top, &variables, action, arguments, input, limit).await
    }

    /// What git writes, without the last line break.
    ///
    /// # Errors
    /// [`RepositoryError::Failed`] with `action` if git does not succeed.
    pub(super) async fn text(
        &self,
        action: &'static str,
        arguments: &[&str],
    ) -> Result<String, RepositoryError> {
        let output = self.run(action, arguments, &[], LIST).await?.succeeded(action)?;
        Ok(String::from_utf8_lossy(&output.bytes).trim_end_matches('\n').to_owned())
    }

    /// Whether git succeeds.
    ///
    /// # Errors
    /// [`RepositoryError::Failed`] if git cannot be run.
    pub(super) async fn succeeds(
        &self,
        action: &'static str,
        arguments: &[&str],
    ) -> Result<bool, RepositoryError> {
        Ok(self.run(action, arguments, &[], LIST).await?.is_success())
    }

    /// Makes an index a copy of another one. `false` if there is none to copy.
    ///
    /// # Errors
    /// [`RepositoryError::Failed`] if there is something that cannot be copied.
    pub(super) async fn copy_index(&self, from: &Path, to: &Path) -> Result<bool, RepositoryError> {
        let (from, to) = (from.to_owned(), to.to_owned());
        let copied = tokio::task::spawn_blocking(move || files::copy(&from, &to, LARGEST)).await;
        match copied.map_err(io::Error::other).flatten() {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => {
                let (action, reason) = ("read the index", error.to_string());
                Err(RepositoryError::Failed { action, reason })
            }
        }
    }
}

#[cfg(unix)]
const LIST_SEPARATOR: &str = ":";
#[cfg(windows)]
const LIST_SEPARATOR: &str = ";";

#[cfg(unix)]
const NOWHERE: &str = "/dev/null";
#[cfg(windows)]
const NOWHERE: &str = "NUL";

/// The configuration file of a shadow: the format alone, which git reads from nowhere else.
fn format_of(layout: &Layout) -> String {
    let Layout { object_format, has_reftable, .. } = layout;
    let refs = if *has_reftable { "\trefstorage = reftable\n" } else { "" };
    format!(
        "[core]\n\trepositoryformatversion = 1\n[extensions]\n\tobjectformat = {object_format}\n{refs}"
    )
}

/// The configuration as variables: the user's, what is carried over of the repository's, and what is in force in any case.
fn configured(layout: &Layout, large: &str) -> Vec<(OsString, OsString)> {
    let forced = FORCED.iter().map(|(key, value)| (*key, *value));
    let carried = layout.configuration.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let all: Vec<_> = carried
        .chain(forced)
        .chain([("core.hooksPath", NOWHERE), ("lfs.storage", large)])
        .collect();
    let mut variables = vec![("GIT_CONFIG_COUNT".into(), all.len().to_string().into())];
    for (number, (key, value)) in all.into_iter().enumerate() {
        variables.push((format!("GIT_CONFIG_KEY_{number}").into(), key.into()));
        variables.push((format!("GIT_CONFIG_VALUE_{number}").into(), value.into()));
    }
    variables
}

/// A path for a list of paths, in which a quote says that it is one.
fn quoted(path: PathBuf) -> OsString {
    let text = path.to_string_lossy();
    if !text.contains([':', '"', '\\', '\n']) || cfg!(windows) {
        return path.into_os_string();
    }
    let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("\"{text}\"").into()
}

fn copy_if_any(from: &Path, to: &Path) -> io::Result<()> {
    match files::copy(from, to, LARGEST_OTHER) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        copied => copied,
    }
}

#[cfg(unix)]
fn link(to: &Path, from: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(to, from)
}

#[cfg(windows)]
fn link(to: &Path, from: &Path) -> io::Result<()> {
    if to.is_dir() {
        std::os::windows::fs::symlink_dir(to, from)
    } else {
        std::os::windows::fs::symlink_file(to, from)
    }
}

/// Removes shadows that no process holds.
fn sweep(shadows: &Path) -> usize {
    let mut count = 0;
    for entry in fs::read_dir(shadows).into_iter().flatten().flatten() {
        let path = entry.path();
        let made = entry.metadata().and_then(|metadata| metadata.modified());
        if !made.is_ok_and(is_settled) {
            continue;
        }
        let lock = File::open(path.join("lock"));
        let is_held = lock.as_ref().is_ok_and(|lock| lock.try_lock().is_err());
        if !is_held && fs::remove_dir_all(&path).is_ok() {
            count += 1;
        }
    }
    count
}

#[expect(clippy::disallowed_methods, reason = "files have times of the wall clock")]
fn is_settled(made: SystemTime) -> bool {
    SystemTime::now().duration_since(made).is_ok_and(|age| age >= SETTLED)
}
