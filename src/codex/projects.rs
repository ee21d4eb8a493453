//! What is kept from the projects that Codex works in until the user trusts them.
//!
//! A folder's own `.codex/config.toml` starts programs outside of the sandbox, opens the network and makes folders writable,
//! once Codex trusts the folder; and an app-server comes to trust a folder by itself as soon as a thread is opened that may
//! write there (seen in 0.120 to 0.169). So such a thread is opened read-only, and each turn says what it may do.
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

/// What matters of the project that a thread works in.
#[derive(Debug, Clone, Default)]
pub(super) struct Project {
    /// A folder that belongs to no project, if the user has not said yet what to think of this one, so that Codex would
    /// decide if a thread may write there.
    pub(super) undecided: Option<PathBuf>,
    /// Variables that commands do not get: the user's own choice, the project's, and [`GIT_DIR`].
    hidden: Vec<Value>,
}

impl Project {
    /// Looks at the project of a directory.
    ///
    /// # Errors
    /// [`CodexError::NotTrusted`] if the user has not decided, and this version would run what the project names.
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
    let folders = folders(directory);
    let files: Vec<_> = folders.iter().map(|folder| folder.join(".codex/config.toml")).collect();
    let mut hidden = vec![json!(GIT_DIR.0)];
    for table in files.iter().map(|file| table(file)).chain([user.clone()]) {
        let list = table.get(POLICY.0).and_then(|section| section.get(POLICY.1));
        let names = list.and_then(toml::Value::as_array).into_iter().flatten();
        hidden.extend(names.filter_map(toml::Value::as_str).map(Value::from));
    }
    let decided = user.get("projects").and_then(toml::Value::as_table);
    // Codex asks for the folder itself, then for the project that it belongs to.
    let ends = [folders.first(), folders.last()];
    let is_decided = ends.into_iter().flatten().any(|folder| {
        decided.is_some_and(|projects| projects.keys().any(|key| Path::new(key) == folder))
    });
    let is_believed = version > CodexVersion::APP_SERVER && version < CodexVersion::ASKS_FOR_TRUST;
    let file = files.iter().find(|file| file.symlink_metadata().is_ok());
    if let Some(file) = file.filter(|_| is_believed && !is_decided) {
        let project = folders.last().map(|top| top.display().to_string()).unwrap_or_default();
        let reason = format!(
            "`{}` can name programs, which Codex {version} would run outside of the sandbox; if you trust it, say so in \
             Codex's own configuration: [projects.{project:?}] trust_level = \"trusted\"",
            file.display()
        );
        return Err(CodexError::NotTrusted { reason });
    }
    Ok(Project { undecided: (!is_decided).then(|| codex_home.to_owned()), hidden })
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

/// A folder and those above it, to the top of its project: where Codex looks for configurations.
fn folders(directory: &Path) -> Vec<PathBuf> {
    let to_top: Vec<_> = directory.ancestors().map(Path::to_owned).collect();
    let is_top = |folder: &PathBuf| folder.join(".git").symlink_metadata().is_ok();
    let count = to_top.iter().position(is_top).unwrap_or_default() + 1;
    to_top.into_iter().take(count).collect()
}

#[cfg(test)]
mod tests {
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
            let project = Project::of(home.path(), directory, CodexVersion::REVIEWER).await;
            project.unwrap().undecided.is_some()
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
    async fn a_version_that_believes_any_project_gets_none_with_a_configuration() {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join(".codex")).unwrap();
        fs::write(home.path().join(".codex/config.toml"), "").unwrap();
        for (version, is_refused) in
            [("0.72.0", false), ("0.87.0", true), ("0.98.0", false), ("0.169.0", false)]
        {
            let version = version.parse().unwrap();
            let said = Project::of(&home.path().join("none"), home.path(), version).await;
            assert_eq!(said.is_err(), is_refused, "{version}");
        }
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
