//! What is kept from the projects that Codex works in until the user trusts them.
//!
//! A folder's own `.codex/config.toml` starts programs outside of the sandbox, opens the network and makes folders writable,
//! once Codex trusts the folder; and an app-server comes to trust a folder by itself as soon as a thread is opened that may
//! write there (seen in 0.120 to 0.171). Which folder it then trusts, and whether it takes the user to have decided, differs
//! by version and can be led astray by what is in the folder. So no thread is opened that may write: each is opened
//! read-only, and its first turn says what turns may do.
//!
//! Codex runs git itself, outside of the sandbox, to say whether something is not committed. That git would run the filters,
//! and for a missing object the `uploadpack`, which a repository's own configuration names; a command can make such a
//! repository. So Codex is started with a [`GIT_DIR`] that leads nowhere: for its own git there is no repository. What it
//! starts in its sandbox does not get that variable, and works with git as ever.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use super::{error::CodexError, version::CodexVersion};

/// The variable that says where a repository is, wherever git runs; and a place that is none.
pub(super) const GIT_DIR: (&str, &str) = ("GIT_DIR", "/nonexistent");

/// The section of Codex's configuration that says which variables commands get, and its list of those that they do not.
const POLICY: (&str, &str) = ("shell_environment_policy", "exclude");

/// The largest configuration that is looked at, in bytes.
const LARGEST: u64 = 1024 * 1024;

/// The longest line in a file that says where a repository is, in bytes.
const LONGEST_POINTER: u64 = 16 * 1024;

/// What matters of the project that a thread works in.
#[derive(Debug, Clone, Default)]
pub(super) struct Project {
    /// Whether the user has said that this very folder, or the repository it is in, is to be trusted.
    pub(super) is_trusted: bool,
    /// The folder for which Codex is asked what turns may do: this one if it is trusted, else one that belongs to no
    /// project.
    pub(super) policy_folder: PathBuf,
    /// Variables that commands do not get: the user's own choice, the project's, and [`GIT_DIR`].
    hidden: Vec<Value>,
}

impl Project {
    /// Looks at the project of a directory.
    ///
    /// # Errors
    /// [`CodexError::NotTrusted`] if the user does not trust it and this version would run what it names, or if it would stop
    /// Codex.
    pub(super) async fn of(
        codex_home: &Path,
        directory: &Path,
        version: CodexVersion,
    ) -> Result<Self, CodexError> {
        let (home, directory) = (codex_home.to_owned(), directory.to_owned());
        let looked = tokio::task::spawn_blocking(move || look(&home, &directory, version)).await;
        looked.unwrap_or(Err(CodexError::ShuttingDown))
    }

    /// Adds what hides the variables to the keys of a thread's configuration, which may say more of them.
    pub(super) fn hide(&self, keys: &mut serde_json::Map<String, Value>) {
        let (section, name) = POLICY;
        let dotted = format!("{section}.{name}");
        let mut hidden = self.hidden.clone();
        let own = keys.get(section).and_then(|section| section.get(name));
        for list in [own, keys.get(&dotted)].into_iter().flatten() {
            hidden.extend(list.as_array().into_iter().flatten().cloned());
        }
        if let Some(Value::Object(section)) = keys.get_mut(section) {
            section.insert(name.to_owned(), hidden.into());
            // One or the other.
            keys.remove(&dotted);
        } else {
            keys.insert(dotted, hidden.into());
        }
    }
}

fn look(codex_home: &Path, directory: &Path, version: CodexVersion) -> Result<Project, CodexError> {
    let user = table(&codex_home.join("config.toml"));
    let (mut folders, is_repository) = folders(directory);
    let top = folders.last().cloned().unwrap_or_default();
    // What is in the user's own folder is the user's.
    let own = codex_home.canonicalize().unwrap_or_else(|_| codex_home.to_owned());
    folders.retain(|folder| folder.join(".codex").canonicalize().map_or(true, |it| it != own));
    let files: Vec<_> = folders.iter().map(|folder| folder.join(".codex/config.toml")).collect();
    if let Some(file) = files.iter().find(|file| fs::metadata(file).is_ok_and(|it| !it.is_file())) {
        let file = file.display();
        let reason = format!("`{file}` is no file, and Codex could wait for it for ever");
        return Err(CodexError::NotTrusted { reason });
    }
    let mut hidden = vec![json!(GIT_DIR.0)];
    for table in files.iter().map(|file| table(file)).chain([user.clone()]) {
        let list = table.get(POLICY.0).and_then(|section| section.get(POLICY.1));
        let names = list.and_then(toml::Value::as_array).into_iter().flatten();
        hidden.extend(names.filter_map(toml::Value::as_str).map(Value::from));
    }
    let is_trusted = is_trusted(&user, directory) || is_repository && is_trusted(&user, &top);
    if !is_trusted {
        refuse(&folders, version, &top)?;
    }
    let policy_folder = if is_trusted { directory } else { codex_home }.to_owned();
    Ok(Project { is_trusted, policy_folder, hidden })
}

/// Whether the user trusts a folder, in just the words that every version of Codex takes so. Whatever else there is says
/// nothing: taking it for trust would let Codex decide by itself.
fn is_trusted(user: &toml::Table, folder: &Path) -> bool {
    let said = folder.to_str().and_then(|name| user.get("projects")?.get(name)?.get("trust_level"));
    said.and_then(toml::Value::as_str) == Some("trusted")
}

/// Fails if this version would run what an untrusted project names, outside of the sandbox.
fn refuse(folders: &[PathBuf], version: CodexVersion, top: &Path) -> Result<(), CodexError> {
    if version <= CodexVersion::APP_SERVER {
        // They know nothing of the kind.
        return Ok(());
    }
    let is_there = |name: &str| {
        let mut places = folders.iter().map(|folder| folder.join(name));
        places.find(|place| place.symlink_metadata().is_ok())
    };
    let believed = if version < CodexVersion::ASKS_FOR_TRUST {
        is_there(".codex/config.toml").or_else(|| is_there(".codex/rules"))
    } else if version < CodexVersion::ASKS_FOR_RULES {
        is_there(".codex/rules")
    } else {
        None
    };
    if let Some(file) = believed {
        let (file, top) = (file.display(), top.display().to_string());
        let reason = format!(
            "`{file}` can name programs, which Codex {version} would run outside of the sandbox; if you trust it, say so in \
             Codex's own configuration: [projects.{top:?}] trust_level = \"trusted\""
        );
        return Err(CodexError::NotTrusted { reason });
    }
    let pointer = is_there(".git").filter(|it| it.symlink_metadata().is_ok_and(|it| !it.is_dir()));
    match pointer.filter(|_| version < CodexVersion::CHECKS_WORKTREES) {
        Some(pointer) if !is_answered(&pointer) => {
            let folder = folders.first().map(|folder| folder.display().to_string());
            let (pointer, folder) = (pointer.display(), folder.unwrap_or_default());
            let reason = format!(
                "`{pointer}` says that this folder belongs to a repository which does not know it; Codex {version} would \
                 trust it as much as that repository; if you trust it, say so in Codex's own configuration: \
                 [projects.{folder:?}] trust_level = \"trusted\""
            );
            Err(CodexError::NotTrusted { reason })
        }
        _ => Ok(()),
    }
}

/// Whether the repository that a `.git` file names is one that has this folder: it names the file as one of its worktrees,
/// or it is in a folder above, as that of a submodule is.
fn is_answered(pointer: &Path) -> bool {
    let read = |file: &Path| {
        let is_file = fs::symlink_metadata(file).is_ok_and(|it| it.is_file());
        let mut text = String::new();
        let opened = is_file.then(|| fs::File::open(file).ok()).flatten()?;
        opened.take(LONGEST_POINTER).read_to_string(&mut text).ok()?;
        Some(PathBuf::from(text.trim_end_matches(['\r', '\n'])))
    };
    let Some(folder) = pointer.parent() else { return false };
    let named = read(pointer).and_then(|line| {
        let named = line.to_str()?.strip_prefix("gitdir: ")?.to_owned();
        folder.join(named).canonicalize().ok()
    });
    let Some(named) = named else { return false };
    if let Some(back) = read(&named.join("gitdir")) {
        return named.join(back).canonicalize().is_ok_and(|back| back == pointer);
    }
    let modules = named.ancestors().find(|it| it.ends_with(".git/modules"));
    let top = modules.and_then(|modules| modules.parent()?.parent());
    top.is_some_and(|top| folder.starts_with(top))
}

/// A configuration file. What cannot be read says nothing here; Codex says what is wrong with it.
fn table(file: &Path) -> toml::Table {
    let is_file = fs::metadata(file).is_ok_and(|it| it.is_file());
    let mut text = String::new();
    let opened = is_file.then(|| fs::File::open(file).ok()).flatten();
    let read = opened.map(|file| file.take(LARGEST).read_to_string(&mut text));
    if read.is_some_and(|read| read.is_ok()) {
        toml::from_str(&text).unwrap_or_default()
    } else {
        toml::Table::new()
    }
}

/// A folder and those above it, to the top of its repository if it is in one: where Codex looks for configurations. The
/// second is whether it is. A `.git` that is no folder is a top for some versions and for others none.
fn folders(directory: &Path) -> (Vec<PathBuf>, bool) {
    let at = |is_top: fn(&fs::Metadata) -> bool| {
        let has_it =
            |folder: &Path| folder.join(".git").symlink_metadata().is_ok_and(|it| is_top(&it));
        directory.ancestors().position(has_it)
    };
    let repository = at(fs::Metadata::is_dir);
    let count = repository.or_else(|| at(|_| true)).unwrap_or_default() + 1;
    (directory.ancestors().take(count).map(Path::to_owned).collect(), repository.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn of(home: &Path, directory: &Path, version: &str) -> Result<Project, CodexError> {
        Project::of(home, directory, version.parse().unwrap()).await
    }

    #[tokio::test]
    async fn a_project_is_trusted_in_the_users_own_words_alone() {
        let home = tempfile::tempdir().unwrap();
        let top = home.path().join("p");
        let inner = top.join("a/b");
        fs::create_dir_all(&inner).unwrap();
        fs::create_dir(top.join(".git")).unwrap();
        let is_trusted = async |config: &str, directory: &Path| {
            fs::write(home.path().join("config.toml"), config).unwrap();
            let project = of(home.path(), directory, "0.169.0").await.unwrap();
            let folder = if project.is_trusted { directory } else { home.path() };
            assert_eq!(project.policy_folder, folder);
            project.is_trusted
        };
        let entry = |path: &str| format!("[projects.{path:?}]\ntrust_level = \"trusted\"\n");
        let named = |path: &Path| entry(path.to_str().unwrap());
        for config in ["", "[", &named(home.path()), &entry(&format!("{}/", top.display()))] {
            assert!(!is_trusted(config, &inner).await, "{config}");
        }
        assert!(is_trusted(&named(&top), &inner).await);
        assert!(is_trusted(&named(&inner), &inner).await);
        assert!(is_trusted(&named(home.path()), home.path()).await);
        for level in ["", "trust_level = \"untrusted\"\n", "trust_level = true\n"] {
            let config = format!("[projects.{inner:?}]\n{level}");
            assert!(!is_trusted(&config, &inner).await, "{config}");
        }
        // A repository in it is another project; what only looks like one is not.
        fs::write(inner.join(".git"), "gitdir: /nowhere").unwrap();
        assert!(is_trusted(&named(&top), &inner).await);
        fs::remove_file(inner.join(".git")).unwrap();
        fs::create_dir(inner.join(".git")).unwrap();
        assert!(!is_trusted(&named(&top), &inner).await);
    }

    #[tokio::test]
    async fn what_a_version_would_run_of_an_untrusted_project_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let codex_home = home.path().join(".codex");
        let work = home.path().join("work");
        for (name, refused) in [
            ("config.toml", &["0.87.0"][..]),
            ("rules", &["0.87.0", "0.98.0", "0.110.0", "0.120.0"]),
        ] {
            // The user's own are no project's.
            for folder in [&codex_home, &work.join(".codex")] {
                fs::create_dir_all(folder).unwrap();
                fs::write(folder.join(name), "").unwrap();
            }
            for version in ["0.66.0", "0.72.0", "0.87.0", "0.98.0", "0.110.0", "0.120.0", "0.125.0"]
            {
                let is_refused = of(&codex_home, &work, version).await.is_err();
                assert_eq!(is_refused, refused.contains(&version), "{name} {version}");
                of(&codex_home, home.path(), version).await.unwrap();
            }
            fs::remove_dir_all(work.join(".codex")).unwrap();
        }
        // A folder of that name, or a pipe, would be waited for.
        fs::create_dir_all(work.join(".codex/config.toml")).unwrap();
        assert!(of(&codex_home, &work, "0.169.0").await.is_err());
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_folder_belongs_to_a_repository_that_knows_it() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path().canonicalize().unwrap();
        let sub = home.join("sub");
        let worktree = home.join("p/.git/worktrees/sub");
        for folder in
            [&sub, &worktree, &home.join(".git/modules/sub"), &home.join("q/.git/modules/sub")]
        {
            fs::create_dir_all(folder).unwrap();
        }
        let pointer = sub.join(".git");
        let is_taken = async |line: String| {
            fs::write(&pointer, line).unwrap();
            let old = of(&home.join("none"), &sub, "0.146.0").await.is_ok();
            assert!(of(&home.join("none"), &sub, "0.155.0").await.is_ok());
            old
        };
        let named = format!("gitdir: {}\n", worktree.display());
        assert!(!is_taken(named.clone()).await);
        fs::write(worktree.join("gitdir"), "/elsewhere/.git\n").unwrap();
        assert!(!is_taken(named.clone()).await);
        fs::write(worktree.join("gitdir"), format!("{}\n", pointer.display())).unwrap();
        assert!(is_taken(named).await);
        assert!(is_taken("gitdir: ../.git/modules/sub\n".to_owned()).await);
        assert!(!is_taken("gitdir: ../q/.git/modules/sub\n".to_owned()).await);
        assert!(!is_taken("gitdir: /nowhere\n".to_owned()).await);
        assert!(!is_taken("nonsense".to_owned()).await);
        fs::remove_file(&pointer).unwrap();
        std::os::unix::fs::symlink(home.join("p/.git"), &pointer).unwrap();
        assert!(of(&home.join("none"), &sub, "0.146.0").await.is_err());
    }

    #[tokio::test]
    async fn what_is_hidden_already_stays_hidden() {
        let home = tempfile::tempdir().unwrap();
        let work = home.path().join("w");
        fs::create_dir_all(work.join(".codex")).unwrap();
        let policy = |name: &str| format!("[shell_environment_policy]\nexclude = [\"{name}\"]\n");
        fs::write(home.path().join("config.toml"), policy("USERS")).unwrap();
        fs::write(work.join(".codex/config.toml"), policy("PROJECTS")).unwrap();
        let project = Project::of(home.path(), &work, CodexVersion::REVIEWER).await.unwrap();
        let hidden = |keys: Value| {
            let mut keys = keys.as_object().unwrap().clone();
            project.hide(&mut keys);
            Value::Object(keys)
        };
        let all = json!(["GIT_DIR", "PROJECTS", "USERS"]);
        assert_eq!(hidden(json!({})), json!({"shell_environment_policy.exclude": all}));
        let more = json!(["GIT_DIR", "PROJECTS", "USERS", "X"]);
        assert_eq!(
            hidden(json!({"shell_environment_policy.exclude": ["X"]})),
            json!({"shell_environment_policy.exclude": more})
        );
        assert_eq!(
            hidden(json!({"shell_environment_policy": {"exclude": ["X"], "inherit": "core"}})),
            json!({"shell_environment_policy": {"exclude": more, "inherit": "core"}})
        );
    }
}
