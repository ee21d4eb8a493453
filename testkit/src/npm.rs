//! Packages from npm, cached under `target/npm/`, one folder each.

use std::{
    fs::{self, File},
    io::{IsTerminal, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

/// The folder a package is installed in, fetched if it is not there yet.
///
/// Several processes may ask at once: one fetches, the others wait. Progress goes to stderr.
///
/// # Errors
/// A sentence that says what is missing and what to do, if npm is absent or cannot fetch.
pub fn fetch(package: &str, version: &str) -> Result<PathBuf, String> {
    let cache = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/npm");
    fs::create_dir_all(&cache).map_err(|e| format!("cannot make {}: {e}", cache.display()))?;
    let cache =
        cache.canonicalize().map_err(|e| format!("cannot find {}: {e}", cache.display()))?;
    let name = format!("{}-{version}", package.trim_start_matches('@').replace('/', "-"));
    let home = cache.join(&name);
    if home.is_dir() {
        return Ok(home);
    }
    let lock = File::create(cache.join(format!(".{name}.lock"))).map_err(|e| e.to_string())?;
    lock.lock().map_err(|e| e.to_string())?;
    if !home.is_dir() {
        // Complete or absent: a fetch that was interrupted leaves only the partial folder.
        let partial = cache.join(format!(".{name}.partial"));
        let _ = fs::remove_dir_all(&partial);
        fs::create_dir_all(&partial).map_err(|e| e.to_string())?;
        install(&format!("{package}@{version}"), &partial)?;
        fs::rename(&partial, &home).map_err(|e| e.to_string())?;
    }
    Ok(home)
}

fn install(what: &str, folder: &Path) -> Result<(), String> {
    let npm = Command::new("npm")
        .args(["install", "--no-audit", "--no-fund", "--loglevel=error", "--prefix"])
        .arg(folder)
        .arg(what)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| {
            format!(
                "{what} is fetched with npm, which did not start ({e}); install Node.js with npm"
            )
        })?;
    watch(npm, what, folder)
}

/// Waits for npm and shows how much has arrived: a live line on a terminal, else a line now and then.
fn watch(mut npm: Child, what: &str, folder: &Path) -> Result<(), String> {
    let started = Instant::now();
    let bar = ProgressBar::new_spinner();
    bar.set_style(
        ProgressStyle::with_template("{spinner} {msg} ({elapsed})").expect("a valid template"),
    );
    let live = std::io::stderr().is_terminal();
    let mut next_line = Duration::from_secs(1);
    loop {
        let message = format!("fetching {what} from npm: {} MB", folder_bytes(folder) / 1_000_000);
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
                "npm could not install {what} ({status}); is the npm registry reachable, and is there room on the disk?\n{}",
                String::from_utf8_lossy(&words).trim()
            ));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
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
