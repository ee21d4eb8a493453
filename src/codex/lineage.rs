//! Whether a process descends from a Codex of ours: then it is refused as a client, for every request.

use std::{collections::HashMap, io, time::Duration};

use super::{
    kin::{is_marked, parent_of},
    orphans::ChildTag,
};

/// The longest chain of parents; a longer one would be a loop.
const LONGEST: usize = 256;

/// How often a chain is looked at of which a process ends meanwhile.
const ATTEMPTS: usize = 4;

/// How often one process is looked at, and the pause in between. An ancestor that ends has no environment any more for a
/// moment in which it still is its children's parent, and on a busy machine that moment lasts.
const LOOKS: usize = 40;
const PAUSE: Duration = Duration::from_millis(5);

/// What is known of where a process comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lineage {
    /// A Codex that this program runs started it, directly or not.
    Codex,
    /// None did.
    Other,
    /// The process is gone, or nothing can be told at this moment.
    Unknown,
}

/// Where processes come from, as far as they were looked at: for a look at many at one time.
#[derive(Debug, Default)]
pub struct Lineages(HashMap<u32, Lineage>);

impl Lineage {
    /// Where a process comes from: this one if none is named.
    ///
    /// It reads two small files of the system for each ancestor. An ancestor that clears its environment hides
    /// nothing: on Linux what Codex starts stays below a process of ours that carries the tag (see [`super::reaper`]).
    pub fn of(process: Option<u32>) -> Self {
        let process = process.unwrap_or_else(std::process::id);
        for _ in 0..LOOKS {
            match Lineages::default().told(process) {
                Ok(Self::Unknown) if matches!(parent_of(process), Ok(Some(_))) => {
                    std::thread::sleep(PAUSE);
                }
                told => return told.unwrap_or(Self::Unknown),
            }
        }
        Self::Unknown
    }

    /// Whether the process may be a client.
    pub fn is_trusted(self) -> bool {
        self == Self::Other
    }
}

impl Lineages {
    /// Where a process comes from. What was said once is said again.
    pub fn of(&mut self, process: u32) -> Lineage {
        // What cannot be told is no reason for trust: a command could bring that about.
        self.told(process).unwrap_or(Lineage::Unknown)
    }

    fn told(&mut self, process: u32) -> io::Result<Lineage> {
        if parent_of(std::process::id())?.is_none() {
            // This system says nothing of any process.
            return Ok(Lineage::Other);
        }
        for _ in 0..ATTEMPTS {
            let Some(chain) = chain(process)? else { return Ok(Lineage::Unknown) };
            // An ancestor may end meanwhile; its children have another parent then.
            if let Some(lineage) = self.told_of(&chain)? {
                return Ok(lineage);
            }
        }
        Ok(Lineage::Unknown)
    }

    /// Goes from the first ancestor down: what is below a Codex need not be looked at, whatever it was started with. `None`
    /// if one of them is gone.
    fn told_of(&mut self, chain: &[u32]) -> io::Result<Option<Lineage>> {
        let mut lineage = Lineage::Other;
        for ancestor in chain.iter().rev() {
            if let Some(known) = self.0.get(ancestor) {
                lineage = *known;
                continue;
            }
            if lineage == Lineage::Other {
                match is_marked(*ancestor, ChildTag::VARIABLE)? {
                    Some(true) => lineage = Lineage::Codex,
                    Some(false) => {}
                    None => return Ok(None),
                }
            }
            self.0.insert(*ancestor, lineage);
        }
        Ok(Some(lineage))
    }
}

/// A process and its ancestors, as far as they can be seen. `None` if it is gone.
fn chain(process: u32) -> io::Result<Option<Vec<u32>>> {
    let Some(mut parent) = parent_of(process)? else { return Ok(None) };
    let mut chain = vec![process];
    while parent != 0 && chain.len() < LONGEST {
        match parent_of(parent)? {
            Some(above) => {
                chain.push(parent);
                parent = above;
            }
            // Gone, then its child has another parent now; or hidden from us, as other users' processes can be.
            None => match chain.last().map_or(Ok(None), |child| parent_of(*child))? {
                None => return Ok(None),
                Some(again) if again == parent => return Ok(Some(chain)),
                Some(again) => parent = again,
            },
        }
    }
    Ok((parent == 0).then_some(chain))
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

    /// A command can bring it about that a server has no file left to look with.
    #[cfg(target_os = "linux")]
    #[test]
    #[expect(clippy::disallowed_methods, reason = "it starts itself again, and no Codex")]
    fn what_cannot_be_told_is_not_trusted() {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

        const SELF: &str = "LINEAGE_WITHOUT_FILES";
        if std::env::var_os(SELF).is_some() {
            let limit = getrlimit(Resource::Nofile);
            setrlimit(Resource::Nofile, Rlimit { current: Some(0), ..limit }).unwrap();
            let seen = [Lineage::of(None), Lineage::of(Some(1))];
            setrlimit(Resource::Nofile, limit).unwrap();
            assert_eq!(seen, [Lineage::Unknown; 2]);
            return;
        }
        // In a process of its own: other tests need files.
        let mut again = Command::new(std::env::current_exe().unwrap());
        again.args(["--exact", "codex::lineage::tests::what_cannot_be_told_is_not_trusted"]);
        let ran = again.env(SELF, "1").output().unwrap();
        let said = String::from_utf8_lossy(&ran.stdout).into_owned();
        assert!(ran.status.success() && said.contains("1 passed"), "{said}");
    }
}
