//! What a git of ours, and any program that the user has configured for it, sees of the environment.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
};

/// What git needs to run at all, to find the user's configuration, and to find a repository as the user's own git does.
const KEPT: &[&str] = &[
    "HOME",
    "USER",
    "LOGNAME",
    "XDG_CONFIG_HOME",
    "TMPDIR",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    // Where the user's configuration is, if not in its usual place, and where the search for a repository ends.
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_SYSTEM",
    "GIT_CONFIG_NOSYSTEM",
    "GIT_CEILING_DIRECTORIES",
    "GIT_DISCOVERY_ACROSS_FILESYSTEM",
    "GIT_EXEC_PATH",
    // Windows.
    "SYSTEMROOT",
    "USERPROFILE",
    "HOMEDRIVE",
    "HOMEPATH",
    "APPDATA",
    "LOCALAPPDATA",
    "PROGRAMDATA",
    "PROGRAMFILES",
    "COMSPEC",
    "PATHEXT",
    "TEMP",
    "TMP",
];

/// What every git of ours is told: to fetch nothing, to prompt never, to write no index that it only reads, to speak English.
const SET: &[(&str, &str)] = &[
    ("GIT_NO_LAZY_FETCH", "1"),
    ("GIT_ALLOW_PROTOCOL", "none"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("GIT_OPTIONAL_LOCKS", "0"),
    ("LC_ALL", "C"),
];

/// The environment of every git of ours, and which git that is.
#[derive(Debug, Clone, Default)]
pub struct GitEnvironment {
    variables: BTreeMap<OsString, OsString>,
    program: Option<PathBuf>,
}

impl GitEnvironment {
    /// Takes what git needs from the variables of a process.
    ///
    /// Of `PATH` only absolute folders are kept: a relative one would be looked for in the repository.
    pub fn of(variables: &BTreeMap<OsString, OsString>) -> Self {
        let find = |name: &str| {
            let found = variables.iter().find(|(key, _)| is_named(key, name));
            found.map(|(key, value)| (key.clone(), value.clone()))
        };
        let mut kept: BTreeMap<_, _> = KEPT.iter().copied().filter_map(find).collect();
        let mut program = None;
        if let Some((name, path)) = find("PATH") {
            let absolute = std::env::split_paths(&path).filter(|folder| folder.is_absolute());
            if let Ok(path) = std::env::join_paths(absolute) {
                program = which::which_in("git", Some(&path), Path::new("/")).ok();
                kept.insert(name, path);
            }
        }
        kept.extend(SET.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))));
        Self { variables: kept, program }
    }

    pub(super) fn variables(&self) -> &BTreeMap<OsString, OsString> {
        &self.variables
    }

    /// Git. `None` if it is in no folder of `PATH`.
    pub(super) fn program(&self) -> Option<&Path> {
        self.program.as_deref()
    }
}

/// Windows writes names of variables as it likes.
fn is_named(key: &OsStr, name: &str) -> bool {
    if cfg!(windows) { key.eq_ignore_ascii_case(name) } else { key == name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn git_sees_a_list_and_no_program_of_the_repository() {
        let given = [
            ("PATH", ".:bin:/usr/bin::/bin"),
            ("HOME", "/home/u"),
            ("GIT_DIR", "/elsewhere"),
            ("GIT_CONFIG_COUNT", "1"),
            ("GIT_EXTERNAL_DIFF", "touch mark"),
            ("GIT_SSH_COMMAND", "touch mark"),
            ("GIT_CONFIG_PARAMETERS", "'core.pager=x'"),
            ("CODEX_MCP_SERVER_STORE_URL", "postgres://u:secret@h/d"),
            ("OPENAI_API_KEY", "secret"),
        ];
        let given = given.map(|(name, value)| (OsString::from(name), OsString::from(value)));
        let environment = GitEnvironment::of(&given.into());
        let seen: Vec<_> =
            environment.variables().keys().map(|name| name.to_string_lossy()).collect();
        let expected = [
            "GIT_ALLOW_PROTOCOL",
            "GIT_NO_LAZY_FETCH",
            "GIT_OPTIONAL_LOCKS",
            "GIT_TERMINAL_PROMPT",
            "HOME",
            "LC_ALL",
            "PATH",
        ];
        assert_eq!(seen, expected);
        assert_eq!(environment.variables()[OsStr::new("PATH")], "/usr/bin:/bin");
    }
}
