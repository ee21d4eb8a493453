//! What this program is started as, if not by a person or a client: it starts itself in several roles.

use std::{
    ffi::{OsStr, OsString},
    io,
    path::Path,
    process::Command,
};

/// A role, named by the first argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The bridge at work: passes lines between its client and a host. Its configuration and the client's own
    /// arguments follow.
    Bridge,
    /// Finds or starts a host, prints its place and ends. The client's own arguments follow.
    Finder,
    /// Starts a host and ends, so that the host is nobody's child. The host's configuration is on standard input.
    Starter,
    /// The host. Its configuration is on standard input.
    Host,
    /// Runs a program and ends all that is left of it when it ends. The program and its arguments follow.
    Reaper,
    /// Serves its client by itself. The client's own arguments follow.
    Server,
}

impl Role {
    const ALL: [Self; 6] =
        [Self::Bridge, Self::Finder, Self::Starter, Self::Host, Self::Reaper, Self::Server];

    /// The argument that stands for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Bridge => "as-bridge",
            Self::Finder => "find-host",
            Self::Starter => "as-starter",
            Self::Host => "as-host",
            Self::Reaper => "as-reaper",
            Self::Server => "as-server",
        }
    }

    /// The role that an argument stands for.
    pub fn of(word: &OsStr) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.word() == word)
    }

    /// This program in this role, to be started.
    #[expect(clippy::disallowed_methods, reason = "it starts this program, not Codex")]
    pub(super) fn command(self, executable: &Path) -> Command {
        let mut command = Command::new(executable);
        command.arg(self.word());
        command
    }

    /// Replaces this process by one in this role, with these further arguments. Returns only if that fails.
    #[cfg(unix)]
    pub fn take(self, executable: &Path, arguments: &[OsString]) -> io::Error {
        use std::os::unix::process::CommandExt;

        self.command(executable).args(arguments).exec()
    }
}

/// Replaces this process by a program. Returns only if that fails.
#[cfg(unix)]
#[expect(clippy::disallowed_methods, reason = "it starts a program of ours, not Codex")]
pub fn replace(program: &Path, arguments: &[OsString]) -> io::Error {
    use std::os::unix::process::CommandExt;

    Command::new(program).args(arguments).exec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_stands_for_one_role() {
        for role in Role::ALL {
            assert_eq!(Role::of(role.word().as_ref()), Some(role));
        }
        assert_eq!(Role::of("serve".as_ref()), None);
    }
}
