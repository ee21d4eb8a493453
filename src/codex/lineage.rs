//! Whether a process descends from a Codex of ours: then it is refused as a client, for every request.

use super::{kin::Kin, orphans::ChildTag};

/// The longest chain of parents; a longer one would be a loop.
const LONGEST: usize = 256;

/// What is known of where a process comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lineage {
    /// A Codex that this program runs started it, directly or not.
    Codex,
    /// None did.
    Other,
    /// The process is gone, or cannot be looked at.
    Unknown,
}

impl Lineage {
    /// Where a process comes from: this one if none is named.
    ///
    /// It reads two small files of the system for each ancestor. An ancestor that clears its environment hides
    /// nothing: on Linux what Codex starts stays below a process of ours that carries the tag (see [`super::reaper`]).
    pub fn of(process: Option<u32>) -> Self {
        let own = std::process::id();
        let look = |process| Kin::of(process, ChildTag::VARIABLE);
        let Some(mut kin) = look(process.unwrap_or(own)) else {
            // Where a process cannot even look at itself, nothing can be told of any.
            return if look(own).is_none() { Self::Other } else { Self::Unknown };
        };
        let mut at = process.unwrap_or(own);
        for _ in 0..LONGEST {
            if kin.is_marked {
                return Self::Codex;
            }
            let Some(parent) = kin.parent else { return Self::Other };
            kin = match look(parent) {
                Some(found) => {
                    at = parent;
                    found
                }
                // Gone, then its child has another parent now; or hidden from us, as other users' processes can be.
                None => match look(at) {
                    None => return Self::Unknown,
                    Some(again) if again.parent == Some(parent) => return Self::Other,
                    Some(again) => again,
                },
            };
        }
        Self::Unknown
    }

    /// Whether the process may be a client.
    pub fn is_trusted(self) -> bool {
        self == Self::Other
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "it is no Codex")]
    fn a_process_is_told_by_its_ancestors() {
        assert_eq!(Lineage::of(None), Lineage::Other);
        // The test runner is its parent; a shell with the tag is the parent of one without.
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", "env -i sleep 1000 & echo $!; wait"]).env(ChildTag::VARIABLE, "x");
        let mut shell = shell.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let stdout = shell.stdout.take().unwrap();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line).unwrap();
        let sleep: u32 = line.trim().parse().unwrap();
        assert_eq!(Lineage::of(Some(sleep)), Lineage::Codex);
        assert_eq!(Lineage::of(Some(shell.id())), Lineage::Codex);
        let pid = rustix::process::Pid::from_raw(sleep.cast_signed()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        shell.wait().unwrap();
        assert_eq!(Lineage::of(Some(sleep)), Lineage::Unknown);
        assert!(!Lineage::Unknown.is_trusted());
    }
}
