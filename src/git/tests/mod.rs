//! Git in repositories that try to run programs, and in those of users who have configured some.

mod applying;
mod honest;
mod hostile;
mod lured;

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{Git, GitEnvironment};

/// A user with a repository, a configuration, and our own folder.
pub(super) struct User {
    folder: tempfile::TempDir,
}

impl User {
    fn new() -> Self {
        let user = Self { folder: tempfile::tempdir().unwrap() };
        for name in ["home", "top", "own", "worktrees"] {
            fs::create_dir(user.at(name)).unwrap();
        }
        user.configure("[user]\n\tname = u\n\temail = u@u\n");
        user.git(&["init", "-q", "-b", "main"]);
        user.write("a.txt", "one\n");
        user.git(&["add", "."]);
        user.git(&["commit", "-qm", "one"]);
        user.git(&["branch", "other"]);
        user.write("b.txt", "two\n");
        user.git(&["add", "."]);
        user.git(&["commit", "-qm", "two"]);
        user
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join(name)
    }

    fn top(&self) -> PathBuf {
        self.at("top")
    }

    fn configure(&self, text: &str) {
        fs::write(self.at("home/.gitconfig"), text).unwrap();
    }

    fn write(&self, name: &str, text: &str) {
        write(&self.top(), name, text);
    }

    /// The user's own git.
    fn git(&self, arguments: &[&str]) -> String {
        self.git_in(&self.top(), arguments)
    }

    fn git_in(&self, folder: &Path, arguments: &[&str]) -> String {
        let mut git = Command::new("git");
        git.args(arguments).current_dir(folder).env("HOME", self.at("home"));
        let output = git.env_remove("XDG_CONFIG_HOME").output().unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {complaint}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Ours.
    fn ours(&self) -> Git {
        let variables: BTreeMap<OsString, OsString> = [
            ("PATH".into(), std::env::var_os("PATH").unwrap()),
            ("HOME".into(), self.at("home").into()),
            ("CODEX_MCP_SERVER_STORE_URL".into(), "postgres://u:secret@h/d".into()),
        ]
        .into();
        Git::new(GitEnvironment::of(&variables), Some(self.at("own")))
    }
}

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// The files below a folder with their contents.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.insert(entry.path(), fs::read(entry.path()).unwrap_or_default());
        }
    }
    found
}
