//! Whether the user has said what to think of a project. A folder's own `.codex/config.toml` starts programs outside of the
//! sandbox, opens the network and makes folders writable, once Codex trusts the folder; and an app-server comes to trust a
//! folder by itself as soon as a thread is opened that may write there (0.120 to 0.171). So such a thread is opened
//! read-only, and each turn says what it may do.
//!
//! Codex's own git runs outside of the sandbox as well, to say whether something is not committed, and runs the filters that
//! a repository's own configuration names. A clone has none; a command can make a repository that does. So that, too, is for
//! the user to allow.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
};

use super::{error::CodexError, version::CodexVersion};

/// The largest configuration of a repository that is looked at, in bytes.
const LARGEST: u64 = 1024 * 1024;

/// Whether Codex would decide by itself what to think of the project that a thread works in, if that may write.
///
/// # Errors
/// [`CodexError::NotTrusted`] if the user has not decided, and this version would run what the project names.
pub(super) async fn is_undecided(
    codex_home: &Path,
    directory: &Path,
    version: CodexVersion,
) -> Result<bool, CodexError> {
    let (home, directory) = (codex_home.to_owned(), directory.to_owned());
    let looked = tokio::task::spawn_blocking(move || look(&home, &directory, version)).await;
    looked.unwrap_or(Err(CodexError::ShuttingDown))
}

fn look(codex_home: &Path, directory: &Path, version: CodexVersion) -> Result<bool, CodexError> {
    // What cannot be read decides nothing; Codex says what is wrong with it.
    let text = fs::read_to_string(codex_home.join("config.toml")).unwrap_or_default();
    let user: toml::Table = toml::from_str(&text).unwrap_or_default();
    let decided = user.get("projects").and_then(toml::Value::as_table);
    let folders = folders(directory);
    let folder = folders.last().and_then(|top| GitFolder::of(top));
    // Codex asks for the folder itself, then for the project that it belongs to.
    let ends = [folders.first(), folders.last(), folder.as_ref().and_then(|it| it.home.as_ref())];
    let is_decided = ends.into_iter().flatten().any(|folder| {
        decided.is_some_and(|projects| projects.keys().any(|key| Path::new(key) == folder))
    });
    if is_decided {
        return Ok(false);
    }
    let refused = |what: String| {
        let project = folders.last().map(|top| top.display().to_string()).unwrap_or_default();
        Err(CodexError::NotTrusted {
            reason: format!(
                "{what}, which Codex {version} would run outside of the sandbox; if you trust it, say so in Codex's own \
                 configuration: [projects.{project:?}] trust_level = \"trusted\""
            ),
        })
    };
    let is_believed = version > CodexVersion::APP_SERVER && version < CodexVersion::ASKS_FOR_TRUST;
    let mut files = folders.iter().map(|folder| folder.join(".codex/config.toml"));
    if is_believed && let Some(file) = files.find(|file| file.symlink_metadata().is_ok()) {
        return refused(format!("`{}` can name programs", file.display()));
    }
    match folder.and_then(|folder| folder.names_programs(version)) {
        Some(file) => refused(format!("`{}` names programs", file.display())),
        None => Ok(true),
    }
}

/// A folder and those above it, to the top of its project: where Codex looks for configurations.
fn folders(directory: &Path) -> Vec<PathBuf> {
    let to_top: Vec<_> = directory.ancestors().map(Path::to_owned).collect();
    let is_top = |folder: &PathBuf| GitFolder::of(folder).is_some();
    let count = to_top.iter().position(is_top).unwrap_or_default() + 1;
    to_top.into_iter().take(count).collect()
}

/// Where git finds a repository's configuration.
struct GitFolder {
    own: PathBuf,
    common: PathBuf,
    /// For a linked worktree, the top of the repository that knows it.
    home: Option<PathBuf>,
}

impl GitFolder {
    /// That of the repository whose top is this folder.
    fn of(top: &Path) -> Option<Self> {
        let link = top.join(".git");
        if link.symlink_metadata().is_err() {
            // Git takes a folder for one if it looks like one.
            let looks = |name: &str| top.join(name).symlink_metadata().is_ok();
            let is_one = looks("HEAD") && looks("objects") && looks("refs");
            return is_one.then(|| Self { own: top.into(), common: top.into(), home: None });
        }
        let said = small_text(&link);
        let place = said.as_deref().and_then(|text| text.strip_prefix("gitdir:"));
        let whole = |path: PathBuf| fs::canonicalize(&path).unwrap_or(path);
        let own = whole(place.map_or_else(|| link.clone(), |place| top.join(place.trim())));
        let common = small_text(&own.join("commondir"));
        let common = common.map_or_else(|| own.clone(), |place| whole(own.join(place.trim())));
        // Anything can say that it belongs to a repository; the repository says what does.
        let is_known = small_text(&own.join("gitdir"))
            .is_some_and(|back| Path::new(back.trim()) == link && own.starts_with(&common));
        let home = common.parent().filter(|_| is_known).map(Path::to_owned);
        Some(Self { own, common, home })
    }

    /// The file by which Codex's own git runs something.
    fn names_programs(&self, version: CodexVersion) -> Option<PathBuf> {
        let is_careless = version < CodexVersion::CAREFUL_GIT;
        let names = |file: &PathBuf| {
            let mut text = String::new();
            let Ok(opened) = fs::File::open(file) else { return false };
            if !opened.metadata().is_ok_and(|it| it.is_file() && it.len() <= LARGEST) {
                return true;
            }
            if opened.take(LARGEST).read_to_string(&mut text).is_err() {
                return true;
            }
            let text = text.to_lowercase();
            let careless = ["fsmonitor", "hookspath"].iter().filter(|_| is_careless);
            ["[filter", "[include"].iter().chain(careless).any(|word| text.contains(word))
        };
        let mut files = [self.common.join("config"), self.own.join("config.worktree")].into_iter();
        // The one hook that looking at a repository runs.
        let hook = self.common.join("hooks/post-index-change");
        let hook = Some(hook).filter(|hook| is_careless && hook.symlink_metadata().is_ok());
        files.find(names).or(hook)
    }
}

/// The text of a small file, without waiting for a pipe. `None` if it is none.
fn small_text(file: &Path) -> Option<String> {
    let is_small = fs::metadata(file).is_ok_and(|it| it.is_file() && it.len() < 65_536);
    is_small.then(|| fs::read_to_string(file).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[tokio::test]
    async fn a_project_is_decided_by_itself_or_by_its_top() {
        let home = tempfile::tempdir().unwrap();
        let top = home.path().join("p");
        let inner = top.join("a/b");
        fs::create_dir_all(&inner).unwrap();
        fs::create_dir(top.join(".git")).unwrap();
        let is_undecided = async |config: &str, directory: &Path| {
            fs::write(home.path().join("config.toml"), config).unwrap();
            super::is_undecided(home.path(), directory, CodexVersion::REVIEWER).await.unwrap()
        };
        let entry = |path: &Path| format!("[projects.{path:?}]\ntrust_level = \"trusted\"\n");
        assert!(is_undecided("", &inner).await);
        assert!(is_undecided("[", &inner).await);
        assert!(is_undecided(&entry(home.path()), &inner).await);
        assert!(!is_undecided(&entry(&top), &inner).await);
        assert!(!is_undecided(&entry(&inner), &inner).await);
        // A repository in it is another project.
        fs::create_dir(inner.join(".git")).unwrap();
        assert!(is_undecided(&entry(&top), &inner).await);
        assert!(!is_undecided(&entry(home.path()), home.path()).await);
    }

    #[tokio::test]
    async fn what_codexs_own_git_would_run_is_for_the_user_to_allow() {
        let temporary = tempfile::tempdir().unwrap();
        let place = temporary.path().canonicalize().unwrap();
        let (home, top) = (place.join("home"), place.join("p"));
        fs::create_dir_all(&home).unwrap();
        fs::create_dir_all(top.join(".git/worktrees/w")).unwrap();
        let apart = place.join("w");
        fs::create_dir_all(&apart).unwrap();
        let git = top.join(".git");
        fs::write(apart.join(".git"), format!("gitdir: {}\n", git.join("worktrees/w").display()))
            .unwrap();
        fs::write(git.join("worktrees/w/commondir"), "../..\n").unwrap();
        fs::write(git.join("worktrees/w/gitdir"), format!("{}\n", apart.join(".git").display()))
            .unwrap();
        // What only looks like the git folder of a repository.
        let bare = place.join("bare");
        for name in ["HEAD", "objects", "refs"] {
            fs::create_dir_all(bare.join(name)).unwrap();
        }
        let said = async |directory: &Path, version: &str| {
            is_undecided(&home, directory, version.parse().unwrap()).await
        };
        let config = |text: &str| {
            fs::write(git.join("config"), text).unwrap();
            fs::write(bare.join("config"), text).unwrap();
        };
        config("[core]\n\tfsmonitor = x\n[remote \"origin\"]\n\turl = x\n");
        for directory in [&top, &apart, &bare] {
            assert!(said(directory, "0.169.0").await.unwrap());
            assert!(said(directory, "0.125.0").await.is_err());
        }
        for text in [
            "[filter \"x\"]\n\tclean = x\n",
            "[core] [FILTER.x]\nclean = x\n",
            "[include]\n\tpath = x\n",
            "[includeIf \"gitdir:/\"]\n",
            &"x".repeat(2_000_000),
        ] {
            config(text);
            for directory in [&top, &apart, &bare] {
                let error = said(directory, "0.169.0").await.unwrap_err().to_string();
                assert!(error.contains("config`"), "{error}");
            }
        }
        // Who trusts the repository trusts its worktrees, but nothing that only says that it is one.
        let entry = format!("[projects.{top:?}]\ntrust_level = \"trusted\"\n");
        fs::write(home.join("config.toml"), entry).unwrap();
        for directory in [&top, &apart] {
            assert!(!said(directory, "0.169.0").await.unwrap());
        }
        let forged = place.join("forged");
        fs::create_dir(&forged).unwrap();
        fs::copy(apart.join(".git"), forged.join(".git")).unwrap();
        assert!(said(&forged, "0.169.0").await.is_err());
    }

    #[tokio::test]
    async fn a_version_that_believes_any_project_gets_none_with_a_configuration() {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join(".codex")).unwrap();
        fs::write(home.path().join(".codex/config.toml"), "").unwrap();
        for (version, is_refused) in
            [("0.72.0", false), ("0.87.0", true), ("0.98.0", false), ("0.169.0", false)]
        {
            let version = version.parse().unwrap();
            let said = is_undecided(&home.path().join("none"), home.path(), version).await;
            assert_eq!(said.is_err(), is_refused, "{version}");
        }
    }
}
