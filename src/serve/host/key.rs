//! Who can share a host: clients for whom what Codex and its commands can notice is the same. Priorities and limits of
//! resources are not looked at.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fmt::{self, Write},
    path::Path,
    time::UNIX_EPOCH,
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::config::Config;

/// Variables that tell one window or terminal from another and mean nothing to what runs in neither. They make no
/// host of their own, and a host has none of them.
const NOISE: &[&str] = &[
    "AI_AGENT",
    "ALACRITTY_LOG",
    "ALACRITTY_SOCKET",
    "ALACRITTY_WINDOW_ID",
    // What Claude Code tells each of its windows' servers of itself (2.1.331); the token is a secret.
    "CLAUDECODE",
    "CLAUDE_CODE_CHILD_NOTES_DIR",
    "CLAUDE_CODE_ENTRYPOINT",
    "CLAUDE_CODE_LAUNCHED_BY_SESSION_IDS",
    "CLAUDE_CODE_MESSAGING_SOCKET",
    "CLAUDE_CODE_MESSAGING_TOKEN",
    "CLAUDE_EFFORT",
    "CLAUDE_PID",
    "CLAUDE_PLUGIN_DATA",
    "CLAUDE_PLUGIN_ROOT",
    "CLAUDE_PROJECT_DIR",
    "COLORTERM",
    "COLUMNS",
    "GNOME_TERMINAL_SCREEN",
    "GNOME_TERMINAL_SERVICE",
    "GPG_TTY",
    "INVOCATION_ID",
    "ITERM_PROFILE",
    "JOURNAL_STREAM",
    "KITTY_LISTEN_ON",
    "KITTY_PID",
    "KITTY_WINDOW_ID",
    "KONSOLE_DBUS_SERVICE",
    "KONSOLE_DBUS_SESSION",
    "KONSOLE_DBUS_WINDOW",
    "LINES",
    "MCP_TIMEOUT",
    "MCP_TOOL_TIMEOUT",
    "OLDPWD",
    "PWD",
    "SHLVL",
    "SSH_CLIENT",
    "SSH_CONNECTION",
    "SSH_TTY",
    "STARSHIP_SESSION_KEY",
    "STY",
    "TERM",
    "TERM_PROGRAM",
    "TERM_PROGRAM_VERSION",
    "TILIX_ID",
    "TMUX",
    "TMUX_PANE",
    "VTE_VERSION",
    "WEZTERM_PANE",
    "WEZTERM_UNIX_SOCKET",
    "WINDOW",
    "WINDOWID",
    "WT_PROFILE_ID",
    "WT_SESSION",
    "ZELLIJ",
    "ZELLIJ_PANE_ID",
    "ZELLIJ_SESSION_NAME",
    "_",
];

/// The end of the names of more such variables.
const NOISY_END: &str = "_SESSION_ID";

/// All that a host's clients have in common.
#[derive(Debug, Clone, Copy)]
pub struct Identity<'a> {
    /// This program.
    pub executable: &'a Path,
    /// The settings, with absolute paths.
    pub config: &'a Config,
    pub variables: &'a BTreeMap<OsString, OsString>,
    /// What else its clients hand down; see [`super::standing()`].
    pub standing: &'a str,
}

/// What servers have in common of which one may run what another has promised to run, as one word: another version of this
/// program may.
pub fn runner(config: &Config, variables: &BTreeMap<OsString, OsString>) -> String {
    let mut digest = Digests::default();
    digest.add(&serde_json::to_vec(config).unwrap_or_default());
    digest.add_variables(variables);
    digest.word()
}

/// Takes parts in, so that no two lists of them are the same.
#[derive(Default)]
struct Digests(Sha256);

impl Digests {
    fn add(&mut self, part: &[u8]) {
        self.0.update((part.len() as u64).to_le_bytes());
        self.0.update(part);
    }

    fn add_variables(&mut self, variables: &BTreeMap<OsString, OsString>) {
        for (name, value) in variables.iter().filter(|(name, _)| !is_noise(name)) {
            self.add(name.as_encoded_bytes());
            self.add(value.as_encoded_bytes());
        }
    }

    fn word(self) -> String {
        let mut word = String::new();
        for byte in self.0.finalize() {
            // A string takes whatever is written to it.
            let _ = write!(word, "{byte:02x}");
        }
        word
    }
}

/// The name of a host, made of all that its clients have in common.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key(String);

impl Key {
    /// The key of the host for clients of this identity. Another build of this program at the same place has another.
    pub fn of(identity: &Identity<'_>) -> Self {
        let Identity { executable, config, variables, standing } = identity;
        let mut digest = Digests::default();
        digest.add(env!("CARGO_PKG_VERSION").as_bytes());
        digest.add(executable.as_os_str().as_encoded_bytes());
        if let Ok(file) = executable.metadata() {
            let changed = file.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
            digest.add(format!("{} {changed:?}", file.len()).as_bytes());
        }
        digest.add(&serde_json::to_vec(config).unwrap_or_default());
        digest.add(standing.as_bytes());
        digest.add_variables(variables);
        Self(digest.word())
    }

    /// Enough of it to name a file.
    pub(super) fn short(&self) -> &str {
        self.0.get(..16).unwrap_or(&self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Key").field(&self.short()).finish()
    }
}

/// Whether a variable means nothing to what runs in no terminal.
pub(super) fn is_noise(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| NOISE.contains(&name) || name.ends_with(NOISY_END))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(change: impl FnOnce(&mut Config, &mut BTreeMap<OsString, OsString>)) -> Key {
        let mut config = Config::default();
        let mut variables = BTreeMap::from([("PATH".into(), "/bin".into())]);
        change(&mut config, &mut variables);
        let executable = Path::new("/no/such/program");
        let identity =
            Identity { executable, config: &config, variables: &variables, standing: "umask 022" };
        Key::of(&identity)
    }

    #[test]
    fn what_commands_could_notice_makes_another_host_and_noise_does_not() {
        let same = key(|_, _| {});
        for name in [
            "TERM",
            "SHLVL",
            "CLAUDE_CODE_SESSION_ID",
            "CLAUDE_CODE_MESSAGING_TOKEN",
            "MCP_TOOL_TIMEOUT",
        ] {
            assert_eq!(key(|_, all| drop(all.insert(name.into(), "1".into()))), same, "{name}");
        }
        for name in ["PATH", "CODEX_HOME", "HTTPS_PROXY", "SESSION_IDS"] {
            assert_ne!(key(|_, all| drop(all.insert(name.into(), "1".into()))), same, "{name}");
        }
        assert_ne!(key(|config, _| config.session.cap = 3), same);
        // Where one value ends and the next begins counts.
        let split = |a: &str, b: &str| key(|_, all| drop(all.insert(a.into(), b.into())));
        assert_ne!(split("A", "BC"), split("AB", "C"));
    }
}
