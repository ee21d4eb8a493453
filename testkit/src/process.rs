//! Looking at other processes through `/proc`: who lives, who is whose child, how big.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::wait::DEADLINE;

/// How long a killed process may take to be gone.
const KILL_TIMEOUT: Duration = Duration::from_secs(1);

/// The command line of a living process; empty once it is gone or a zombie.
pub fn command_line(pid: u32) -> String {
    let raw = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&raw).replace('\0', " ").trim().to_owned()
}

/// Whether the process runs; a zombie does not.
pub fn is_alive(pid: u32) -> bool {
    stat(pid).is_some_and(|stat| !stat.starts_with(['Z', 'X']))
}

/// Whether the process has been waited for by its parent. Only then are all its pipes closed for sure:
/// other threads may outlive the first one for a moment.
pub fn is_reaped(pid: u32) -> bool {
    stat(pid).is_none()
}

/// Whether nothing of the process runs any more: it was waited for, or waits for that with no thread left.
pub fn is_gone(pid: u32) -> bool {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    is_reaped(pid) || !is_alive(pid) && threads.count() <= 1
}

/// All living descendants of a process, children first.
pub fn descendants(pid: u32) -> Vec<u32> {
    let mut found = Vec::new();
    let mut parents = vec![pid];
    while let Some(parent) = parents.pop() {
        for child in children(parent) {
            found.push(child);
            parents.push(child);
        }
    }
    found.retain(|pid| is_alive(*pid));
    found
}

/// Every living process whose command line or environment mentions `needle`.
///
/// Tests put a path of their own into the environment of what they start, so this finds whatever of
/// it is left, whoever its parent is by now.
pub fn mentioning(needle: &str) -> Vec<u32> {
    let mentions = |pid: &u32| {
        ["cmdline", "environ"].iter().any(|file| {
            let raw = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
            String::from_utf8_lossy(&raw).contains(needle)
        })
    };
    let own = std::process::id();
    pids().filter(|pid| *pid != own && is_alive(*pid)).filter(mentions).collect()
}

/// The host that a bridge was started for. None if the process is not a bridge.
///
/// # Panics
/// If the host does not say what process it is.
pub fn host_of(bridge: u32) -> Option<u32> {
    let status = host_status(&host_socket(bridge)?).expect("an answer of the host");
    status["pid"].as_u64()?.try_into().ok()
}

/// The socket of the host that a bridge was started for. None if the process is not a bridge.
pub(crate) fn host_socket(bridge: u32) -> Option<PathBuf> {
    let words = fs::read(format!("/proc/{bridge}/cmdline")).unwrap_or_default();
    let mut words = words.split(|byte| *byte == 0);
    words.find(|word| *word == b"as-bridge" || word.ends_with(b"/codex-mcp-bridge"))?;
    let config: Value = serde_json::from_slice(words.next()?).expect("the bridge's configuration");
    let (folder, key) = (config["files"]["folder"].as_str()?, config["files"]["key"].as_str()?);
    Some(Path::new(folder).join(format!("{}.sock", key.get(..16)?)))
}

/// How the host at a socket is. None if it does not answer.
pub(crate) fn host_status(socket: &Path) -> Option<Value> {
    let stream = UnixStream::connect(socket).ok()?;
    stream.set_read_timeout(Some(DEADLINE)).expect("limit the wait");
    (&stream).write_all(b"{\"ask\":\"status\"}\n").ok()?;
    let mut answer = String::new();
    BufReader::new(&stream).read_line(&mut answer).ok()?;
    Some(serde_json::from_str::<Value>(&answer).ok()?["status"].take())
}

/// Kills every process that mentions `needle`, and waits a moment until none is left.
pub(crate) fn kill_mentioning(needle: &str) {
    let started = Instant::now();
    loop {
        let left = mentioning(needle);
        if left.is_empty() || started.elapsed() > KILL_TIMEOUT {
            return;
        }
        let pids = left.iter().map(u32::to_string);
        drop(
            std::process::Command::new("kill")
                .arg("-KILL")
                .args(pids)
                .stderr(Stdio::null())
                .status(),
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until nothing that mentions `needle` lives.
///
/// # Panics
/// After [`DEADLINE`], naming what is left.
pub async fn all_gone(needle: &str, when: &str) {
    let started = Instant::now();
    loop {
        let left = mentioning(needle);
        if left.is_empty() {
            return;
        }
        let lines: Vec<_> = left.iter().map(|pid| (pid, stat(*pid), command_line(*pid))).collect();
        assert!(started.elapsed() < DEADLINE, "left {when}: {lines:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Proportional memory in bytes: each page divided among the processes that have it. 0 once the process is gone.
pub fn proportional_bytes(pid: u32) -> u64 {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
    let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

/// Resident memory in bytes; 0 once the process is gone.
pub fn resident_bytes(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

/// The processes it started itself.
pub fn children(parent: u32) -> Vec<u32> {
    pids().filter(|pid| parent_of(*pid) == Some(parent)).collect()
}

fn pids() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| Path::new(&entry.file_name()).to_str()?.parse().ok())
}

fn parent_of(pid: u32) -> Option<u32> {
    stat(pid)?.split_whitespace().nth(1)?.parse().ok()
}

/// What the system says of a process, from its state on.
fn stat(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command name is in parentheses and may hold anything, so count from its end.
    Some(stat.rsplit_once(')')?.1.trim_start().to_owned())
}
