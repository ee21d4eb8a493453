//! Programs that tests write and then start.
//!
//! A file that any process has open for writing cannot be executed ("text file busy"), and a process that another test
//! starts in that moment inherits what this one has open. So this process never opens the program: `cp` writes it.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Copies a program, also over one that is there.
///
/// # Panics
/// If it cannot be copied.
pub fn copy(from: impl AsRef<OsStr>, to: &Path) {
    let mut copy = Command::new("cp");
    copy.arg("--remove-destination").arg(from).arg(to).stdin(Stdio::null());
    assert!(copy.status().expect("cp").success(), "cannot copy to {}", to.display());
}

/// Makes a program of a text, which says by its first line what runs it.
///
/// # Panics
/// If it cannot be written.
pub fn write(path: PathBuf, text: &str) -> PathBuf {
    let mut draft = path.clone().into_os_string();
    draft.push(".draft");
    fs::write(&draft, text).expect("write a program");
    copy(&draft, &path);
    fs::remove_file(&draft).expect("remove the draft");
    let made = Command::new("chmod").arg("755").arg(&path).status().expect("chmod");
    assert!(made.success(), "cannot make {} executable", path.display());
    path
}
