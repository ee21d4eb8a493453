//! Packages from `PyPI`, each with an environment of its own under `target/python/`.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

/// The folder of programs (`python` among them) of an environment with this package, made if it is not there.
///
/// # Errors
/// A sentence that says what is missing and what to do.
pub fn fetch(package: &str, version: &str) -> Result<PathBuf, String> {
    let cache = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/python");
    fs::create_dir_all(&cache).map_err(|e| format!("cannot make {}: {e}", cache.display()))?;
    let cache = cache.canonicalize().map_err(|e| e.to_string())?;
    let name = format!("{package}-{version}");
    let home = cache.join(&name);
    let lock = File::create(cache.join(format!(".{name}.lock"))).map_err(|e| e.to_string())?;
    lock.lock().map_err(|e| e.to_string())?;
    let complete = home.join("complete");
    if !complete.is_file() {
        // Written past the test harness, which would keep it until the test ends.
        let _ = writeln!(std::io::stderr(), "fetching {package} {version} from PyPI");
        let _ = fs::remove_dir_all(&home);
        run("python3", &["-m", "venv", &home.to_string_lossy()])?;
        let pip = home.join("bin/pip");
        run(&pip.to_string_lossy(), &["install", "--quiet", &format!("{package}=={version}")])?;
        fs::write(complete, "").map_err(|e| e.to_string())?;
    }
    Ok(home.join("bin"))
}

fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(program).args(arguments).output();
    let output =
        output.map_err(|e| format!("{program} did not start ({e}); install Python 3 with venv"))?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    Err(format!("`{program} {}` failed: {}", arguments.join(" "), words.trim()))
}
