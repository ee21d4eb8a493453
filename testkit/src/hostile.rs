//! A repository that tries to run programs: by every key that git's own list of settings has, by hooks and by
//! attributes. Each program leaves a mark, which has the environment that it ran in.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::program;

/// What a key's placeholders stand for here.
const PLACEHOLDERS: &[(&str, &str)] = &[
    ("remote.<name>", "remote.origin"),
    ("branch.<name>", "branch.main"),
    ("pager.<cmd>", "pager.diff"),
    ("pretty.<name>", "pretty.x"),
    ("includeIf.<condition>.path", "includeIf.onbranch:**.path"),
];

/// Keys that run a program and that git's list does not have, or has in another form.
const UNLISTED: &[&str] = &[
    "filter.x.process",
    "hook.x.command",
    "credential.https://example.com.helper",
    "core.sshcommand",
    "core.gitproxy",
    "pager.log",
    "pager.show",
    "pager.status",
    "alias.status",
    "alias.diff",
    "alias.add",
];

/// Keys with which git leaves a mark in everyday use: the control of the whole.
const EVERYDAY: &[&str] = &["filter.x.process", "core.fsmonitor"];

/// All keys of git's that name a program.
const PROGRAMS: &[&str] = &[
    "filter.x.clean",
    "filter.x.smudge",
    "filter.x.process",
    "diff.external",
    "diff.x.command",
    "diff.x.textconv",
    "merge.x.driver",
    "core.fsmonitor",
    "core.pager",
    "core.editor",
    "core.askpass",
    "core.sshcommand",
    "core.gitproxy",
    "core.alternaterefscommand",
    "sequence.editor",
    "gpg.program",
    "gpg.ssh.program",
    "gpg.x509.program",
    "gpg.ssh.defaultkeycommand",
    "credential.helper",
    "remote.origin.uploadpack",
    "remote.origin.receivepack",
    "uploadpack.packobjectshook",
    "gc.recentobjectshook",
    "interactive.difffilter",
    "hook.x.command",
    "submodule.x.update",
    "trailer.x.command",
    "trailer.x.cmd",
    "pager.diff",
    "alias.status",
];

/// Every hook that git knows, and some it does not.
const HOOKS: &[&str] = &[
    "applypatch-msg",
    "pre-applypatch",
    "post-applypatch",
    "pre-commit",
    "pre-merge-commit",
    "prepare-commit-msg",
    "commit-msg",
    "post-commit",
    "pre-rebase",
    "post-checkout",
    "post-merge",
    "pre-push",
    "pre-receive",
    "update",
    "proc-receive",
    "post-receive",
    "post-update",
    "reference-transaction",
    "push-to-checkout",
    "pre-auto-gc",
    "post-rewrite",
    "sendemail-validate",
    "fsmonitor-watchman",
    "post-index-change",
    "query-fsmonitor",
];

/// What a repository needs to try to run programs.
#[derive(Debug)]
pub struct Hostile {
    folder: PathBuf,
    every: String,
    programs: String,
}

impl Hostile {
    /// Prepares it, with marks and programs in `folder`, which is made.
    pub fn new(folder: &Path) -> Self {
        for name in ["marks", "programs", "hooks"] {
            fs::create_dir_all(folder.join(name)).expect("make a folder");
        }
        let mut hostile =
            Self { folder: folder.to_owned(), every: String::new(), programs: String::new() };
        for hook in HOOKS {
            hostile.program(&folder.join("hooks").join(hook), hook);
        }
        let listed = Command::new("git").args(["help", "-c"]).output().expect("list git's keys");
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        let keys = listed.lines().map(filled).chain(UNLISTED.iter().map(|key| (*key).to_owned()));
        let entries = keys.filter(|key| is_key(key)).map(|key| (hostile.entry(&key), key));
        let entries = taken_by_git(entries.collect());
        assert!(entries.len() > 200, "git takes few keys: {entries:?}");
        hostile.every = entries.into_iter().map(|(entry, _)| entry).collect();
        hostile.programs = PROGRAMS.iter().map(|key| hostile.entry(key)).collect();
        let hooks = format!("[core]\n\thooksPath = \"{}\"\n", folder.join("hooks").display());
        let more = format!(
            "{hooks}[log]\n\tshowSignature = true\n[merge]\n\tverifySignatures = true\n[diff]\n\tsubmodule = log\n\
             \tignoreSubmodules = none\n[submodule]\n\trecurse = true\n[hook \"x\"]\n\tevent = post-checkout\n\
             \tevent = reference-transaction\n[remote \"origin\"]\n\turl = {0}\n\tpromisor = true\n[filter \"x\"]\n\
             \trequired = false\n",
            folder.join("nowhere.git").display()
        );
        hostile.every += &more;
        hostile.programs += &more;
        hostile
    }

    /// Gives a git folder every key of git's list that git can read, and every hook.
    pub fn arm_with_every_key(&self, git_dir: &Path) {
        self.arm_with(git_dir, &self.every);
    }

    /// Gives a git folder the keys that name programs, and every hook; git itself goes on working there.
    pub fn arm(&self, git_dir: &Path) {
        self.arm_with(git_dir, &self.programs);
    }

    fn arm_with(&self, git_dir: &Path, entries: &str) {
        let file = git_dir.join("config");
        let config = fs::read_to_string(&file).unwrap_or_default();
        fs::write(file, format!("{config}\n{entries}")).expect("write a configuration");
        let hooks = git_dir.join("hooks");
        drop(fs::remove_dir_all(&hooks));
        fs::create_dir_all(&hooks).expect("make a folder");
        for hook in HOOKS {
            self.program(&hooks.join(hook), hook);
        }
    }

    /// All its settings in a file to be included.
    pub fn included(&self) -> PathBuf {
        let file = self.folder.join("included");
        fs::write(&file, &self.programs).expect("write a configuration");
        file
    }

    /// Attributes that ask for its filters and drivers.
    pub fn attributes(&self) -> &'static str {
        "* filter=x diff=x merge=x\n"
    }

    /// A commit of the tree `tree` that claims to be signed, written to a repository. Returns its id.
    pub fn signed_commit(&self, repository: &Path, tree: &str) -> String {
        let text = format!(
            "tree {tree}\nauthor t <t@t> 1 +0000\ncommitter t <t@t> 1 +0000\n\
             gpgsig -----BEGIN PGP SIGNATURE-----\n \n AAAA\n -----END PGP SIGNATURE-----\n\nsigned\n"
        );
        let file = self.folder.join("signed");
        fs::write(&file, text).expect("write a commit");
        let write = ["hash-object", "-t", "commit", "-w", "--literally"];
        let written = Command::new("git").args(write).arg(&file).current_dir(repository).output();
        String::from_utf8_lossy(&written.expect("run git").stdout).trim().to_owned()
    }

    /// What has run outside of Codex.
    pub fn marks(&self) -> Vec<String> {
        let marks = fs::read_dir(self.folder.join("marks")).expect("read marks").flatten();
        // What Codex starts, its own git and commands in its sandbox, has its server's tag.
        let is_ours = |mark: &fs::DirEntry| {
            let environment = fs::read_to_string(mark.path()).unwrap_or_default();
            !environment.contains("CODEX_MCP_CHILD_TAG=")
        };
        let ours = marks.filter(is_ours);
        ours.map(|mark| mark.file_name().to_string_lossy().into_owned()).collect()
    }

    /// Makes plain git run what it can, to show that the programs do leave marks. Removes them then.
    pub fn control(&self, repository: &Path) {
        for arguments in [["status", "--short"], ["diff", "--stat"], ["add", "--all"]] {
            drop(Command::new("git").args(arguments).current_dir(repository).output());
        }
        let marks = self.marks();
        for key in EVERYDAY {
            assert!(marks.iter().any(|mark| mark.starts_with(key)), "no {key} in {marks:?}");
        }
        for mark in fs::read_dir(self.folder.join("marks")).expect("read marks").flatten() {
            fs::remove_file(mark.path()).expect("remove a mark");
        }
    }

    fn entry(&self, key: &str) -> String {
        let program = self.folder.join("programs").join(key.replace(['/', ':', '*'], "_"));
        self.program(&program, key);
        let (section, name) = key.rsplit_once('.').expect("a key has a section");
        let head = match section.split_once('.') {
            Some((section, subsection)) => format!("[{section} \"{subsection}\"]"),
            None => format!("[{section}]"),
        };
        format!("{head}\n\t{name} = {}\n", program.display())
    }

    /// A program that leaves a mark and is a filter that changes nothing.
    fn program(&self, path: &Path, name: &str) {
        let mark = self.folder.join("marks").join(name.replace(['/', ':', '*'], "_"));
        let text = format!("#!/bin/sh\nenv > '{}'.$$\ncat\n", mark.display());
        program::write(path.to_owned(), &text);
    }
}

/// A key with names in place of its placeholders.
fn filled(key: &str) -> String {
    let mut key = key.trim().to_owned();
    for (from, to) in PLACEHOLDERS {
        key = key.replace(from, to);
    }
    while let (Some(start), Some(end)) = (key.find('<'), key.find('>')) {
        key.replace_range(start..=end, "x");
    }
    key.replace('*', "x")
}

/// Whether it is a key at all, and not one that says where the repository or more configuration is.
fn is_key(key: &str) -> bool {
    let is_name = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    key.rsplit_once('.').is_some_and(|(_, name)| is_name(name))
        && !key.starts_with("include")
        && !key.eq_ignore_ascii_case("core.worktree")
}

/// Those entries with which git reads a repository at all: where it wants a number or a word, it says of which key.
fn taken_by_git(mut entries: Vec<(String, String)>) -> Vec<(String, String)> {
    let folder = tempfile::tempdir().expect("make a folder");
    let run = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).current_dir(folder.path()).output();
        let output = output.expect("run git");
        let complaint = String::from_utf8_lossy(&output.stderr).to_lowercase();
        (!output.status.success()).then_some(complaint)
    };
    assert_eq!(run(&["init", "-q"]), None);
    let config = folder.path().join(".git/config");
    loop {
        let text: String = entries.iter().map(|(entry, _)| entry.as_str()).collect();
        fs::write(&config, text).expect("write a configuration");
        let refused = run(&["rev-parse", "--show-toplevel", "--absolute-git-dir"]);
        let Some(complaint) = refused.or_else(|| run(&["config", "--list"])) else {
            return entries;
        };
        let before = entries.len();
        // By its name, or by the value that we gave it.
        let ends = |c: char| c.is_whitespace() || ['\'', '/', ','].contains(&c);
        let words: Vec<&str> = complaint.split(ends).collect();
        entries.retain(|(_, key)| !words.contains(&key.to_lowercase().as_str()));
        assert!(entries.len() < before, "git does not say which key it is: {complaint}");
    }
}
