//! The real Codex CLI by version, from npm, cached under `target/codex/`.

use std::{
    fs::{self, File},
    io::{IsTerminal, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

/// The native binary of a Codex version, fetched from npm if it is not there yet.
///
/// Several processes may ask at once: one fetches, the others wait. Progress goes to stderr.
///
/// # Errors
/// A sentence that says what is missing and what to do, if npm is absent or cannot fetch.
pub fn fetch(version: &str) -> Result<PathBuf, String> {
    let cache = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/codex");
    fs::create_dir_all(&cache).map_err(|e| format!("cannot make {}: {e}", cache.display()))?;
    let cache =
        cache.canonicalize().map_err(|e| format!("cannot find {}: {e}", cache.display()))?;
    let home = cache.join(version);
    if let Some(binary) = native_binary(&home) {
        return Ok(binary);
    }
    let lock = File::create(cache.join(format!(".{version}.lock"))).map_err(|e| e.to_string())?;
    lock.lock().map_err(|e| e.to_string())?;
    if native_binary(&home).is_none() {
        install(version, &cache, &home)?;
    }
    native_binary(&home).ok_or_else(|| {
        format!("npm installed @openai/codex@{version}, but it holds no binary for this platform")
    })
}

fn install(version: &str, cache: &Path, home: &Path) -> Result<(), String> {
    let partial = cache.join(format!(".{version}.partial"));
    let _ = fs::remove_dir_all(&partial);
    fs::create_dir_all(&partial).map_err(|e| e.to_string())?;
    let npm = Command::new("npm")
        .args(["install", "--no-audit", "--no-fund", "--loglevel=error", "--prefix"])
        .arg(&partial)
        .arg(format!("@openai/codex@{version}"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| {
            format!("the Codex CLI is fetched with npm, which did not start ({e}); install Node.js with npm")
        })?;
    watch(npm, version, &partial)?;
    let _ = fs::remove_dir_all(home);
    fs::rename(&partial, home).map_err(|e| e.to_string())
}

/// Waits for npm and shows how much has arrived: a live line on a terminal, else a line now and then.
fn watch(mut npm: Child, version: &str, partial: &Path) -> Result<(), String> {
    let started = Instant::now();
    let bar = ProgressBar::new_spinner();
    bar.set_style(
        ProgressStyle::with_template("{spinner} {msg} ({elapsed})").expect("a valid template"),
    );
    let live = std::io::stderr().is_terminal();
    let mut next_line = Duration::ZERO;
    loop {
        let message =
            format!("fetching Codex {version} from npm: {} MB", folder_bytes(partial) / 1_000_000);
        if live {
            bar.set_message(message);
            bar.tick();
        } else if started.elapsed() >= next_line {
            // Written past the test harness, which would keep it until the test ends.
            let _ = writeln!(std::io::stderr(), "{message}");
            next_line += Duration::from_secs(10);
        }
        if let Some(status) = npm.try_wait().map_err(|e| e.to_string())? {
            bar.finish_and_clear();
            if status.success() {
                return Ok(());
            }
            let words = npm.wait_with_output().map(|out| out.stderr).unwrap_or_default();
            return Err(format!(
                "npm could not install @openai/codex@{version} ({status}); is the npm registry reachable?\n{}",
                String::from_utf8_lossy(&words).trim()
            ));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
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

fn folder_bytes(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(meta) if meta.is_dir() => folder_bytes(&entry.path()),
            Ok(meta) => meta.len(),
            Err(_) => 0,
        })
        .sum()
}
