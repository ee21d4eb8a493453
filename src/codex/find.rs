//! Where the Codex CLI is.
//!
//! The npm package puts a Node script on PATH that starts the native binary and stays in between; we
//! look through it, which saves a Node process and makes signals arrive.

use std::{
    env::consts::{ARCH, EXE_SUFFIX, OS},
    ffi::OsStr,
    path::{Path, PathBuf},
};

use super::error::CodexError;

/// Where to look, from the environment. Values are passed in so that a test can choose them.
#[derive(Debug, Clone, Default)]
pub struct SearchPath {
    /// The operator's choice; nothing else is tried if it is set.
    pub binary: Option<PathBuf>,
    /// `PATH`.
    pub path: Option<std::ffi::OsString>,
    /// The user's home directory.
    pub home: Option<PathBuf>,
}

/// A Codex binary, and why it is this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binary {
    pub path: PathBuf,
    /// Why this one, in words.
    pub reason: &'static str,
    /// Others that were found and not taken.
    pub others: Vec<PathBuf>,
}

/// Finds the native Codex binary.
///
/// The operator's choice wins; then PATH in order; then the places installers use, because clients
/// started from a desktop have a short PATH.
///
/// # Errors
/// [`CodexError::NotFound`] with every place that was looked at.
pub fn find(search: &SearchPath) -> Result<Binary, CodexError> {
    let name = format!("codex{EXE_SUFFIX}");
    let because = |reason: &'static str| move |path: PathBuf| (path, reason);
    let candidates: Vec<_> = match &search.binary {
        // A bare name is looked up on PATH, as a shell would.
        Some(chosen) if chosen.components().count() == 1 => {
            let all = on_path(search, chosen.as_os_str()).into_iter();
            all.map(because("its name was chosen, and it is the first on PATH")).collect()
        }
        Some(chosen) => vec![(chosen.clone(), "it was chosen")],
        None => {
            let all = on_path(search, OsStr::new(&name)).into_iter();
            let usual = usual_places(search).into_iter().map(|folder| folder.join(&name));
            all.map(because("it is the first on PATH"))
                .chain(usual.map(because("none is on PATH, and this is where installers put it")))
                .collect()
        }
    };
    // A file that cannot be run is none, as for a shell.
    let there = candidates.iter().filter(|(path, _)| which::which(path).is_ok());
    let mut found = there.map(|(path, reason)| (native(path).unwrap_or(path.clone()), *reason));
    let Some((path, reason)) = found.next() else {
        let searched = candidates.iter().map(|(path, _)| path.display().to_string());
        return Err(CodexError::NotFound { searched: searched.collect() });
    };
    let mut others: Vec<PathBuf> = found.map(|(path, _)| path).collect();
    others.retain(|other| *other != path);
    others.dedup();
    Ok(Binary { path, reason, others })
}

fn on_path(search: &SearchPath, name: &OsStr) -> Vec<PathBuf> {
    let path = search.path.clone().unwrap_or_default();
    let folders = std::env::split_paths(&path);
    // An empty one would leave a bare name, to be looked up on some other PATH.
    let folders = folders.filter(|folder| !folder.as_os_str().is_empty());
    folders.map(|folder| folder.join(name)).collect()
}

fn usual_places(search: &SearchPath) -> Vec<PathBuf> {
    let home = search.home.iter().flat_map(|home| {
        [".local/bin", ".npm-global/bin", ".volta/bin", ".bun/bin", ".cargo/bin"]
            .map(|folder| home.join(folder))
    });
    let system = ["/usr/local/bin", "/opt/homebrew/bin", "/usr/bin"].map(PathBuf::from);
    let managed = search.home.iter().flat_map(|home| managed_nodes(home));
    home.chain(managed).chain(system).collect()
}

/// Where npm puts programs under managers of Node versions, the newest Node first.
fn managed_nodes(home: &Path) -> Vec<PathBuf> {
    let managers =
        [(".nvm/versions/node", "bin"), (".local/share/fnm/node-versions", "installation/bin")];
    let nodes = managers.iter().flat_map(|(nodes, bin)| {
        let nodes = std::fs::read_dir(home.join(nodes)).into_iter().flatten().flatten();
        let mut nodes: Vec<PathBuf> = nodes.map(|node| node.path()).collect();
        nodes.sort_by_key(|node| std::cmp::Reverse(numbers(node)));
        nodes.into_iter().map(move |node| node.join(bin))
    });
    nodes.collect()
}

/// The numbers in a folder's name: `v22.3.1` is after `v9.11.2`.
fn numbers(path: &Path) -> Vec<u64> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.split(|letter: char| !letter.is_ascii_digit())
        .filter_map(|part| part.parse().ok())
        .collect()
}

/// Looks through npm's shim: `…/@openai/codex/bin/codex.js` starts a binary that lies in
/// `vendor/<target>/`, in the package itself or, in newer versions, in a package per platform.
fn native(found: &Path) -> Option<PathBuf> {
    let real = found.canonicalize().ok()?;
    if real.extension() != Some(OsStr::new("js")) {
        return None;
    }
    let package = real.parent()?.parent()?;
    let scope = package.parent()?;
    let platform = format!("codex-{}-{}", npm_os(), npm_arch());
    let roots = [
        package.to_owned(),
        scope.join(&platform),
        package.join("node_modules/@openai").join(&platform),
    ];
    let targets = roots.iter().filter_map(|root| std::fs::read_dir(root.join("vendor")).ok());
    let name = format!("codex{EXE_SUFFIX}");
    targets
        .flatten()
        .flatten()
        .filter(|target| {
            let target = target.file_name().to_string_lossy().into_owned();
            target.starts_with(ARCH) && target.contains(rust_os())
        })
        .flat_map(|target| ["bin", "codex"].map(|folder| target.path().join(folder).join(&name)))
        .find(|binary| binary.is_file())
}

fn npm_os() -> &'static str {
    match OS {
        "macos" => "darwin",
        "windows" => "win32",
        other => other,
    }
}

fn npm_arch() -> &'static str {
    match ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// How the target triples in `vendor/` spell this system.
fn rust_os() -> &'static str {
    if OS == "macos" { "darwin" } else { OS }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(path: &Path) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "").unwrap();
        #[cfg(unix)]
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_cannot_be_run_is_not_taken() {
        let root = tempfile::tempdir().unwrap();
        let (first, usual) = (root.path().join("bin/codex"), root.path().join(".local/bin/codex"));
        touch(&first);
        touch(&usual);
        let plain = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        std::fs::set_permissions(&first, plain).unwrap();
        assert_eq!(find(&search(root.path())).unwrap().path, usual);
    }

    fn search(root: &Path) -> SearchPath {
        SearchPath { binary: None, path: Some(root.join("bin").into()), home: Some(root.into()) }
    }

    #[test]
    fn path_comes_before_the_usual_places() {
        let root = tempfile::tempdir().unwrap();
        let name = format!("codex{EXE_SUFFIX}");
        let usual = root.path().join(".local/bin").join(&name);
        touch(&usual);
        assert_eq!(find(&search(root.path())).unwrap().path, usual);
        let first = root.path().join("bin").join(&name);
        touch(&first);
        let found = find(&search(root.path())).unwrap();
        assert_eq!((&found.path, found.reason), (&first, "it is the first on PATH"));
        assert!(found.others.contains(&usual), "{found:?}");
    }

    #[test]
    fn an_empty_path_finds_nothing() {
        // A program that is on the PATH of this process.
        for path in [None, Some("".into()), Some(":".into())] {
            let search = SearchPath { binary: Some("sh".into()), path, home: None };
            assert!(find(&search).is_err());
        }
    }

    #[test]
    fn the_newest_managed_node_comes_first() {
        let root = tempfile::tempdir().unwrap();
        let name = format!("codex{EXE_SUFFIX}");
        for version in ["v9.11.2", "v22.3.1", "v22.10.0"] {
            touch(&root.path().join(".nvm/versions/node").join(version).join("bin").join(&name));
        }
        let found = find(&search(root.path())).unwrap().path;
        assert!(found.ends_with(Path::new("v22.10.0/bin").join(&name)), "{found:?}");
    }

    #[test]
    fn the_operators_choice_is_the_only_one() {
        let root = tempfile::tempdir().unwrap();
        touch(&root.path().join("bin").join(format!("codex{EXE_SUFFIX}")));
        let chosen = SearchPath { binary: Some("/no/such/codex".into()), ..search(root.path()) };
        let error = find(&chosen).unwrap_err().to_string();
        assert!(error.ends_with("looked at /no/such/codex"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn the_npm_shim_is_looked_through() {
        let root = tempfile::tempdir().unwrap();
        let modules = root.path().join("lib/node_modules/@openai");
        touch(&modules.join("codex/bin/codex.js"));
        std::fs::create_dir_all(root.path().join("bin")).unwrap();
        std::os::unix::fs::symlink(
            modules.join("codex/bin/codex.js"),
            root.path().join("bin/codex"),
        )
        .unwrap();
        let target = format!("vendor/{ARCH}-unknown-{}-musl/bin/codex", rust_os());
        let binary = modules.join(format!("codex-{}-{}", npm_os(), npm_arch())).join(target);
        touch(&binary);
        assert_eq!(find(&search(root.path())).unwrap().path, binary.canonicalize().unwrap());
    }
}
