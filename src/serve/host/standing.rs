//! What a process has from its parents besides variables, and hands down to what it starts.

use std::{collections::BTreeSet, fmt::Write};

use rustix::{
    fs::Mode,
    process::{getgroups, umask},
};

/// The namespaces that decide what commands can reach.
#[cfg(target_os = "linux")]
const NAMESPACES: [&str; 4] = ["mnt", "net", "pid", "user"];

/// The standing of this process as text, to be compared: the rights it gives to new files, its groups, and on Linux
/// its namespaces. Priorities and limits of resources are not in it.
pub fn standing() -> String {
    // It can only be read by being set. Nothing else runs in this process yet.
    let mask = umask(Mode::empty());
    umask(mask);
    let mut standing = format!("umask {mask:?}");
    let groups = getgroups().unwrap_or_default();
    let groups: BTreeSet<_> = groups.into_iter().map(rustix::process::Gid::as_raw).collect();
    // A string takes whatever is written to it.
    let _ = write!(standing, " groups {groups:?}");
    #[cfg(target_os = "linux")]
    for name in NAMESPACES {
        if let Ok(namespace) = std::fs::read_link(format!("/proc/self/ns/{name}")) {
            let _ = write!(standing, " {}", namespace.display());
        }
    }
    standing
}
