//! Finding a host and starting one. Waits as a program that has nothing else to do, so it needs no runtime.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs::{File, TryLockError},
    io::{self, Write},
    os::unix::net::UnixStream,
    path::Path,
    process::Stdio,
    thread::sleep,
    time::{Duration, Instant},
};

use rustix::process::Pid;

use super::{HostConfig, HostError, HostFiles, key::is_noise};
use crate::{serve::Role, system::open_private_file};

/// How long a host may take to be there.
const START_LIMIT: Duration = Duration::from_secs(5);

/// How often to check whether it is there.
const POLL: Duration = Duration::from_millis(1);

/// This program, to be run again in a given environment.
#[derive(Debug, Clone, Copy)]
pub struct Program<'a> {
    /// Where it is.
    pub executable: &'a Path,
    pub variables: &'a BTreeMap<OsString, OsString>,
}

/// Whether a host listens at a files. It may hang all the same.
pub fn is_there(files: &HostFiles) -> bool {
    files.is_private() && UnixStream::connect(files.socket()).is_ok()
}

/// Whether there is a socket at a files. Its host may have died.
pub fn may_be_there(files: &HostFiles) -> bool {
    files.is_private() && files.socket().exists()
}

/// Makes sure that a host listens at a files. Of many that want one at once, one starts it.
///
/// # Errors
/// [`HostError`] if none can be had.
pub fn ensure(
    files: &HostFiles,
    config: &HostConfig,
    program: Program<'_>,
) -> Result<(), HostError> {
    if is_there(files) {
        return Ok(());
    }
    files.prepare()?;
    let deadline = Instant::now() + START_LIMIT;
    let _starting = lock(&files.starting(), deadline)?;
    if is_there(files) {
        return Ok(());
    }
    let host = start(files, config, program).map_err(HostError::Start)?;
    while !is_there(files) {
        if Instant::now() > deadline {
            return Err(HostError::Silent);
        }
        if host.is_none_or(|host| rustix::process::test_kill_process(host).is_err()) {
            return Err(HostError::Ended { log: files.log() });
        }
        sleep(POLL);
    }
    Ok(())
}

/// Waits for a lock file.
fn lock(path: &Path, deadline: Instant) -> Result<File, HostError> {
    let file = |source| HostError::File { path: path.to_owned(), source };
    let opened = open_private_file(path).map_err(file)?;
    loop {
        match opened.try_lock() {
            Ok(()) => return Ok(opened),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => sleep(POLL),
            Err(TryLockError::WouldBlock) => return Err(HostError::Silent),
            Err(TryLockError::Error(source)) => return Err(file(source)),
        }
    }
}

/// Starts a program that starts the host and ends: the host is then nobody's child, and no client that ends its
/// own processes reaches it. Returns the host's process.
fn start(files: &HostFiles, config: &HostConfig, program: Program<'_>) -> io::Result<Option<Pid>> {
    let log = open_private_file(&files.log())?;
    let variables = program.variables.iter().filter(|(name, _)| !is_noise(name));
    let mut child = Role::Starter
        .command(program.executable)
        .env_clear()
        .envs(variables)
        // There is none.
        .env("TERM", "dumb")
        // It keeps no client's directory in use.
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(&serde_json::to_vec(config)?)?;
    }
    let starter = child.wait_with_output()?;
    let host = String::from_utf8_lossy(&starter.stdout);
    Ok(host.trim().parse().ok().and_then(Pid::from_raw))
}

/// Starts the host, in a session of its own, prints its process and leaves it alone. Its input is this process's own.
///
/// # Errors
/// If it cannot be started.
pub fn start_and_leave(executable: &Path) -> io::Result<()> {
    rustix::process::setsid()?;
    let host = Role::Host.command(executable).stdout(Stdio::null()).spawn()?;
    writeln!(io::stdout(), "{}", host.id())
}
