//! The real Codex CLI by version.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::npm;

/// The native binary of a Codex version, fetched from npm if it is not there yet.
///
/// # Errors
/// A sentence that says what is missing and what to do.
pub fn fetch(version: &str) -> Result<PathBuf, String> {
    let home = npm::fetch("@openai/codex", version)?;
    native_binary(&home).ok_or_else(|| {
        format!(
            "@openai/codex@{version} has no binary for this platform; remove {} to fetch it again",
            home.display()
        )
    })
}

/// Finds `vendor/<target>/…/codex` below an npm prefix; where exactly differs by version.
fn native_binary(home: &Path) -> Option<PathBuf> {
    let packages = fs::read_dir(home.join("node_modules/@openai")).ok()?.flatten();
    let vendors = packages.filter_map(|package| fs::read_dir(package.path().join("vendor")).ok());
    let targets = vendors.flatten().flatten();
    let name = format!("codex{}", std::env::consts::EXE_SUFFIX);
    targets
        .filter(|target| {
            let target = target.file_name();
            let target = target.to_string_lossy();
            target.contains(std::env::consts::ARCH) && target.contains(std::env::consts::OS)
        })
        .flat_map(|target| ["bin", "codex"].map(|folder| target.path().join(folder).join(&name)))
        .find(|path| path.is_file())
}
