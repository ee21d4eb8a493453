//! Profiles of the user's own Codex configuration.
//!
//! Codex takes the name of one only on its command line; for a thread of the app-server we read it
//! ourselves. From 0.134 on a profile is a file of its own beside `config.toml`, before that a table in
//! it (observed); either is read.

use std::{fs, io, path::Path};

use serde_json::{Map, Value};

use super::{ApprovalPolicy, Sandbox, error::CodexError};

/// What a profile says.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Profile {
    pub model: Option<String>,
    pub reasoning_effort: Option<String>,
    pub sandbox: Option<Sandbox>,
    pub approval_policy: Option<ApprovalPolicy>,
    /// All other keys.
    pub rest: Map<String, Value>,
}

impl Profile {
    /// Reads a profile. `None` if there is none of this name.
    pub(super) fn read(codex_home: &Path, name: &str) -> Result<Option<Self>, CodexError> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        if name.is_empty() || !name.chars().all(is_plain) {
            return Ok(None);
        }
        if let Some(table) = table(&codex_home.join(format!("{name}.config.toml")))? {
            return Self::of(table, name).map(Some);
        }
        let config = table(&codex_home.join("config.toml"))?.unwrap_or_default();
        let profile =
            config.get("profiles").and_then(|all| all.get(name)).and_then(Value::as_object);
        profile.map(|table| Self::of(table.clone(), name)).transpose()
    }

    fn of(mut table: Map<String, Value>, name: &str) -> Result<Self, CodexError> {
        let mut take = |key: &str| table.remove(key);
        Ok(Self {
            model: typed(take("model"), name)?,
            reasoning_effort: typed(take("model_reasoning_effort"), name)?,
            sandbox: typed(take("sandbox_mode"), name)?,
            approval_policy: typed(take("approval_policy"), name)?,
            rest: table,
        })
    }
}

fn typed<T: serde::de::DeserializeOwned>(
    value: Option<Value>,
    name: &str,
) -> Result<Option<T>, CodexError> {
    value.map(serde_json::from_value).transpose().map_err(|error| CodexError::Configuration {
        reason: format!("cannot read the profile `{name}`: {error}"),
    })
}

fn table(path: &Path) -> Result<Option<Map<String, Value>>, CodexError> {
    let failed = |reason: String| CodexError::Configuration {
        reason: format!("cannot read {}: {}", path.display(), reason.trim_end()),
    };
    match fs::read_to_string(path) {
        Ok(text) => toml::from_str(&text).map(Some).map_err(|error| failed(error.to_string())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_its_own_wins_over_a_table() {
        let home = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(home.path().join(name), text).unwrap();
        assert_eq!(Profile::read(home.path(), "deep").unwrap(), None);
        write("config.toml", "model = 'm'\n[profiles.deep]\nmodel = 'old'\nmodel_provider = 'p'\n");
        let profile = Profile::read(home.path(), "deep").unwrap().unwrap();
        assert_eq!(profile.model.as_deref(), Some("old"));
        assert_eq!(profile.rest.get("model_provider"), Some(&"p".into()));
        write("deep.config.toml", "sandbox_mode = 'read-only'\nmodel_reasoning_effort = 'high'\n");
        let profile = Profile::read(home.path(), "deep").unwrap().unwrap();
        assert_eq!((profile.model, profile.sandbox), (None, Some(Sandbox::ReadOnly)));
        assert_eq!(profile.reasoning_effort.as_deref(), Some("high"));
    }

    #[test]
    fn a_name_cannot_lead_elsewhere_and_nonsense_is_named() {
        let home = tempfile::tempdir().unwrap();
        let inner = home.path().join("inner");
        fs::create_dir(&inner).unwrap();
        fs::write(home.path().join("x.config.toml"), "model = 'm'").unwrap();
        assert_eq!(Profile::read(&inner, "../x").unwrap(), None);
        fs::write(inner.join("bad.config.toml"), "sandbox_mode = 'none-at-all'").unwrap();
        let error = Profile::read(&inner, "bad").unwrap_err().to_string();
        assert!(error.contains("`bad`") && error.contains("none-at-all"), "{error}");
    }
}
