//! Codex's own folder, as far as an old Codex cannot be asked about it.

use std::{fs, path::Path};

use serde::Deserialize;
use toml::Table;

use crate::codex::{catalog::Defaults, settings::Sandbox};

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
        // Reviews in words are turns like any other.
        review_model: None,
        writable_roots: Vec::new(),
        sandbox: config.sandbox_mode,
        mcp_servers: config.mcp_servers.into_iter().map(|(name, _)| name).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_read() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(defaults(home.path()), Defaults::default());
        let config =
            "model = \"m\"\nsandbox_mode = \"read-only\"\n[mcp_servers.a]\ncommand = \"x\"\n";
        fs::write(home.path().join("config.toml"), config).unwrap();
        let found = defaults(home.path());
        assert_eq!((found.model.as_deref(), found.mcp_servers), (Some("m"), vec!["a".to_owned()]));
    }
}
