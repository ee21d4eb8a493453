//! Codex's own folder, as far as an old Codex cannot be asked about it.

use std::{fs, path::Path};

use serde::Deserialize;
use toml::Table;

use crate::codex::{app_server::Defaults, settings::Sandbox, turn::ThreadId};

/// The keys of `config.toml` we look at.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Config {
    model: Option<String>,
    sandbox_mode: Option<Sandbox>,
    mcp_servers: Table,
}

/// The user's defaults. What cannot be read is for Codex to complain about.
pub(in crate::codex) fn defaults(home: &Path) -> Defaults {
    let text = fs::read_to_string(home.join("config.toml")).unwrap_or_default();
    let config: Config = toml::from_str(&text).unwrap_or_default();
    Defaults {
        model: config.model,
        sandbox: config.sandbox_mode,
        mcp_servers: config.mcp_servers.into_iter().map(|(name, _)| name).collect(),
    }
}

/// Whether there is a record of a thread. Up to 0.116 Codex would begin a new one without a word.
pub(super) fn has_record(home: &Path, thread: &ThreadId) -> bool {
    let end = format!("-{thread}.jsonl");
    is_below(&home.join("sessions"), &end)
}

/// Records lie in folders by year, month and day.
fn is_below(folder: &Path, end: &str) -> bool {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.into_iter().any(|entry| {
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_folder {
            return is_below(&entry.path(), end);
        }
        let is_record = entry.file_name().to_string_lossy().ends_with(end);
        is_record && entry.metadata().is_ok_and(|file| file.len() > 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_and_defaults_are_found() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(defaults(home.path()), Defaults::default());
        let day = home.path().join("sessions/2026/11/22");
        fs::create_dir_all(&day).unwrap();
        fs::write(day.join("rollout-x-abc.jsonl"), "{}").unwrap();
        fs::write(day.join("rollout-x-empty.jsonl"), "").unwrap();
        let has = |id: &str| has_record(home.path(), &ThreadId(id.into()));
        assert!(has("abc") && !has("empty") && !has("other"));
        let config =
            "model = \"m\"\nsandbox_mode = \"read-only\"\n[mcp_servers.a]\ncommand = \"x\"\n";
        fs::write(home.path().join("config.toml"), config).unwrap();
        let found = defaults(home.path());
        assert_eq!((found.model.as_deref(), found.mcp_servers), (Some("m"), vec!["a".to_owned()]));
    }
}
