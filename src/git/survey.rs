//! The first look at a repository: where it is, its format, and which values of configuration are carried over.
//!
//! This is the only git of ours that runs with a repository's own configuration in force. Its two commands print what
//! they find and run nothing: `rev-parse` and `config --list`.

use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
};

use super::{
    Repository,
    command::{self, Output},
    error::RepositoryError,
    files,
};

/// Flags, numbers and words of a repository's own configuration that are carried over: how the bytes of its files are read
/// and written. None names a program, in any version of git; a value that is no plain word is left out.
const OWN: &[&str] = &[
    "core.autocrlf",
    "core.checkstat",
    "core.eol",
    "core.filemode",
    "core.ignorecase",
    "core.precomposeunicode",
    "core.protecthfs",
    "core.protectntfs",
    "core.safecrlf",
    "core.sharedrepository",
    "core.symlinks",
    "core.trustctime",
];

/// What of the user's own configuration is left out: it is read already (`include`), or is about the user's own acts
/// and other repositories.
const NOT_OURS: &[&str] =
    &["include.", "includeif.", "hook.", "alias.", "trace2.", "core.bare", "core.worktree"];

/// The most that `rev-parse` and `config --list` may print, in bytes: all of it is held.
const CONFIGURATION: u64 = 1024 * 1024;

/// How many other folders of objects a repository may name.
const ALTERNATES: usize = 64;

/// Where a repository is and how it is to be read.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    /// The top directory of the working tree.
    pub(super) top: PathBuf,
    pub(super) git_dir: PathBuf,
    /// The git folder of the repository, the same unless this is a linked worktree.
    pub(super) common_dir: PathBuf,
    /// What is checked out, as the file `HEAD` has it.
    pub(super) head: String,
    /// `sha1` or `sha256`.
    pub(super) object_format: &'static str,
    pub(super) has_reftable: bool,
    /// The user's configuration, then what is carried over of the repository's own.
    pub(super) configuration: Vec<(String, String)>,
}

impl Layout {
    /// Folders besides the git folder of which git reads objects, and those that these name in turn.
    ///
    /// # Errors
    /// If one cannot be read as git reads it.
    fn alternates(&self) -> io::Result<Vec<PathBuf>> {
        let mut found: Vec<PathBuf> = Vec::new();
        let mut next = vec![self.common_dir.join("objects")];
        while let Some(objects) = next.pop() {
            let list = objects.join("info/alternates");
            let text = match list.symlink_metadata() {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                _ => files::small_text(&list).ok_or(io::ErrorKind::InvalidData)?,
            };
            for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
                // Git has a way to quote odd paths, which is not ours to know.
                if line.starts_with('"') || found.len() >= ALTERNATES {
                    return Err(io::ErrorKind::InvalidData.into());
                }
                let other = objects.join(line);
                if !found.contains(&other) {
                    found.push(other.clone());
                    next.push(other);
                }
            }
        }
        Ok(found)
    }
}

impl Repository {
    /// The top directory of the repository.
    ///
    /// # Errors
    /// [`RepositoryError::None`] if the directory is in none.
    pub async fn root(&self) -> Result<PathBuf, RepositoryError> {
        match &self.worktree {
            Some(worktree) => Ok(worktree.path.clone()),
            None => Ok(self.find().await?.0),
        }
    }

    /// All folders that git reads of this repository: its top, its git folders, and where else it has objects from. A
    /// `.git` file or an alternate can point anywhere, so a server that keeps callers apart compares each with what the
    /// caller may read.
    ///
    /// # Errors
    /// [`RepositoryError::None`] if the directory is in no repository.
    pub async fn folders(&self) -> Result<Vec<PathBuf>, RepositoryError> {
        let layout = self.layout().await?;
        let alternates = layout.alternates().map_err(|_| RepositoryError::Failed {
            action: "read the repository",
            reason: "where else it has objects from cannot be read".to_owned(),
        })?;
        Ok([layout.top, layout.git_dir, layout.common_dir].into_iter().chain(alternates).collect())
    }

    pub(super) async fn layout(&self) -> Result<Layout, RepositoryError> {
        let (top, git_dir, common_dir) = match &self.worktree {
            // What the worktree itself says of that is not believed.
            Some(it) => (it.path.clone(), it.git_dir.clone(), it.common_dir.clone()),
            None => self.find().await?,
        };
        let listed = self
            .look(
                &common_dir,
                "read the configuration",
                &["config", "--null", "--show-scope", "--list"],
            )
            .await?
            .succeeded("read the configuration")?;
        let (own, users) = read(&listed.parts("read the configuration")?);
        let last = |key: &str| {
            let found = own.iter().rev().find(|(known, _)| known == key);
            found.map(|(_, value)| value.to_lowercase())
        };
        let object_format = match last("extensions.objectformat").as_deref() {
            Some("sha256") => "sha256",
            _ => "sha1",
        };
        let has_reftable = last("extensions.refstorage").is_some_and(|it| it == "reftable");
        let head = match &self.worktree {
            Some(worktree) => format!("ref: refs/heads/{}\n", worktree.branch),
            None => head_of(&git_dir),
        };
        if has_reftable && git_dir != common_dir && self.worktree.is_none() {
            let reason = "linked worktrees of repositories with reftable are not supported";
            let action = "read the repository";
            return Err(RepositoryError::Failed { action, reason: reason.to_owned() });
        }
        let is_word = |value: &str| value.chars().all(|c| c.is_ascii_alphanumeric());
        let is_carried = |(key, value): &(String, String)| {
            let key = key.as_str();
            OWN.contains(&key) && is_word(value)
        };
        let configuration = users.into_iter().chain(own.into_iter().filter(is_carried)).collect();
        Ok(Layout { top, git_dir, common_dir, head, object_format, has_reftable, configuration })
    }

    /// Finds the repository as the user's own git does: its top, its git folder and the shared one.
    async fn find(&self) -> Result<(PathBuf, PathBuf, PathBuf), RepositoryError> {
        let action = "find the repository";
        let none = || RepositoryError::None(self.directory.clone());
        let arguments = ["rev-parse", "--show-toplevel", "--absolute-git-dir", "--git-common-dir"];
        let output = command::run(
            &self.git.0.environment,
            &self.directory,
            &[],
            action,
            &arguments,
            &[],
            CONFIGURATION,
        );
        let found = match output.await?.succeeded(action) {
            Ok(found) => String::from_utf8_lossy(&found.bytes).into_owned(),
            Err(RepositoryError::Failed { reason, .. })
                if reason.contains("not a git repository")
                    || reason.contains("must be run in a work tree") =>
            {
                return Err(none());
            }
            Err(error) => return Err(error),
        };
        let mut lines = found.lines();
        let (Some(top), Some(git_dir), Some(common)) = (lines.next(), lines.next(), lines.next())
        else {
            return Err(none());
        };
        // The shared folder is said relative to where git runs.
        let here = tokio::fs::canonicalize(&self.directory).await.map_err(|_| none())?;
        let common = tokio::fs::canonicalize(here.join(common)).await.map_err(|_| none())?;
        let git_dir = tokio::fs::canonicalize(git_dir).await.map_err(|_| none())?;
        let top = tokio::fs::canonicalize(top).await.map_err(|_| none())?;
        // `core.worktree` can say that the working tree is somewhere else, such as where another repository is.
        if !here.starts_with(&top) {
            return Err(none());
        }
        if !leads(&top, &git_dir) {
            let reason = format!(
                "its configuration (`core.worktree`) says that its files are in `{}`, which has another git folder",
                top.display()
            );
            return Err(RepositoryError::Failed { action, reason });
        }
        Ok((top, git_dir, common))
    }

    /// Runs a command that only prints, in a git folder.
    async fn look(
        &self,
        git_dir: &Path,
        action: &'static str,
        arguments: &[&str],
    ) -> Result<Output, RepositoryError> {
        let here = [(OsString::from("GIT_DIR"), git_dir.as_os_str().to_owned())];
        let environment = &self.git.0.environment;
        command::run(environment, git_dir, &here, action, arguments, &[], CONFIGURATION).await
    }
}

/// Whether the top of a working tree leads to that git folder: it is `.git` there, or a file of this name says so.
fn leads(top: &Path, git_dir: &Path) -> bool {
    let link = top.join(".git");
    let said = files::small_text(&link);
    let place = said.as_deref().and_then(|text| text.strip_prefix("gitdir: "));
    let place = place.map_or(link, |place| top.join(place.trim_end_matches(['\n', '\r'])));
    std::fs::canonicalize(place).is_ok_and(|place| place == git_dir)
}

/// What the file `HEAD` says. In old repositories it is a link to a branch.
fn head_of(git_dir: &Path) -> String {
    let head = git_dir.join("HEAD");
    match std::fs::read_link(&head) {
        Ok(branch) => format!("ref: {}\n", branch.display()),
        Err(_) => files::small_text(&head).unwrap_or_default(),
    }
}

type Values = Vec<(String, String)>;

/// What `config --list` says: the repository's own values, and the user's and the system's. Git has followed the user's
/// conditional includes by then.
fn read(parts: &[&[u8]]) -> (Values, Values) {
    let (mut own, mut users) = (Vec::new(), Vec::new());
    for pair in parts.chunks_exact(2) {
        let [scope, entry] = pair else { continue };
        let entry = String::from_utf8_lossy(entry);
        // A key without a value is a flag that is set.
        let (key, value) = entry.split_once('\n').unwrap_or((&entry, "true"));
        let entry = (key.to_owned(), value.to_owned());
        match *scope {
            b"system" | b"global" if NOT_OURS.iter().any(|left_out| key.starts_with(left_out)) => {}
            b"system" | b"global" => users.push(entry),
            _ => own.push(entry),
        }
    }
    (own, users)
}
