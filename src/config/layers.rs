//! Putting the layers together.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use toml::{Table, Value};

use super::{Config, settings::LISTS};

/// What our own variables begin with. `CODEX_MCP_SERVER_SESSION_TTL` is `session.ttl`.
const PREFIX: &str = "CODEX_MCP_SERVER_";

/// Names the configuration file itself; not a setting.
const CONFIG_VARIABLE: &str = "CODEX_MCP_SERVER_CONFIG";

/// Variables of the ancestor and of the field that mean a setting of ours.
const ALIASES: &[(&str, &str)] =
    &[("CODEX_DEFAULT_MODEL", "defaults.model"), ("CODEX_BIN", "codex.bin")];

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A layer holds something that is not a setting or not a value for it.
    #[error("{place}: {reason}")]
    Invalid {
        /// Where: a file, a variable, a flag.
        place: String,
        /// What is wrong, in words.
        reason: String,
    },
    /// The file cannot be read.
    #[error("cannot read the configuration file {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
}

/// The environment as far as it matters: values passed in, so that tests need not change their own.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// All variables whose name and value are text.
    pub variables: BTreeMap<String, String>,
    /// The user's configuration folder.
    pub config_folder: Option<PathBuf>,
}

/// What was said on the command line.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// `--config`.
    pub file: Option<PathBuf>,
    /// Settings by dotted key, in order; the text is read as TOML if it is, else as a string.
    pub settings: Vec<(String, String)>,
}

/// The settings in force, and where each comes from.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// The settings.
    pub config: Config,
    /// Every key and its value, with the place it comes from.
    pub origins: BTreeMap<String, (Value, String)>,
}

/// Puts defaults, file, environment and flags together.
///
/// A file that was not asked for may be missing.
///
/// # Errors
/// [`ConfigError`], with the place of the mistake.
pub fn resolve(flags: &Flags, environment: &Environment) -> Result<Resolved, ConfigError> {
    let mut merged = Merged::default();
    let defaults =
        Table::try_from(Config::default()).map_err(|error| invalid("defaults", &error))?;
    merged.add(&defaults, "default")?;
    if let Some((path, text)) = read_file(flags, environment)? {
        let place = path.display().to_string();
        let table: Table = text.parse().map_err(|error| invalid(&place, &error))?;
        merged.add(&table, &place)?;
    }
    for (name, value) in &environment.variables {
        // Some launchers pass on a variable that nobody has filled in.
        let is_blank = value.is_empty() && ALIASES.iter().any(|(alias, _)| alias == name);
        if is_blank {
            continue;
        }
        if let Some(key) = key_of(name) {
            merged.add(&setting(&key, value), name)?;
        }
    }
    for (key, value) in &flags.settings {
        merged.add(&setting(key, value), &format!("flag for `{key}`"))?;
    }
    let config: Config =
        merged.table.try_into().map_err(|error| invalid("configuration", &error))?;
    check(&config)?;
    Ok(Resolved { config, origins: merged.origins })
}

#[derive(Default)]
struct Merged {
    table: Table,
    origins: BTreeMap<String, (Value, String)>,
}

impl Merged {
    /// Lays a table over what there is, if it would be a valid configuration by itself.
    fn add(&mut self, layer: &Table, place: &str) -> Result<(), ConfigError> {
        let _alone: Config = layer.clone().try_into().map_err(|error| invalid(place, &error))?;
        for (key, value) in leaves(layer, "") {
            insert(&mut self.table, &key, value.clone());
            self.origins.insert(key, (value, place.to_owned()));
        }
        Ok(())
    }
}

/// Every value that is not a table, by its dotted key.
fn leaves(table: &Table, prefix: &str) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for (name, value) in table {
        let key = format!("{prefix}{name}");
        match value {
            Value::Table(inner) => found.extend(leaves(inner, &format!("{key}."))),
            other => found.push((key, other.clone())),
        }
    }
    found
}

fn insert(table: &mut Table, key: &str, value: Value) {
    match key.split_once('.') {
        None => drop(table.insert(key.to_owned(), value)),
        Some((section, rest)) => {
            let inner = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(inner) = inner {
                insert(inner, rest, value);
            }
        }
    }
}

/// A table with one setting. What reads as TOML is that, anything else is text: `5` is a number, `5m`
/// is text. For lists, words and commas do.
fn setting(key: &str, text: &str) -> Table {
    let value = if LISTS.contains(&key) && !text.trim_start().starts_with('[') {
        let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
        Value::Array(names.map(Value::from).collect())
    } else {
        let read: Option<Table> = format!("value = {text}").parse().ok();
        let read = read.and_then(|mut table| table.remove("value"));
        read.unwrap_or_else(|| Value::String(text.to_owned()))
    };
    let mut table = Table::new();
    insert(&mut table, key, value);
    table
}

/// The setting a variable means. The first word is the section.
fn key_of(variable: &str) -> Option<String> {
    if let Some((_, key)) = ALIASES.iter().find(|(name, _)| *name == variable) {
        return Some((*key).to_owned());
    }
    if variable == CONFIG_VARIABLE {
        return None;
    }
    let name = variable.strip_prefix(PREFIX)?.to_lowercase();
    Some(match name.split_once('_') {
        Some((section, key)) => format!("{section}.{key}"),
        None => name,
    })
}

fn read_file(
    flags: &Flags,
    environment: &Environment,
) -> Result<Option<(PathBuf, String)>, ConfigError> {
    let named = flags
        .file
        .clone()
        .or_else(|| environment.variables.get(CONFIG_VARIABLE).map(PathBuf::from));
    let is_named = named.is_some();
    let usual = || Some(environment.config_folder.as_ref()?.join("codex-mcp-server/config.toml"));
    let Some(path) = named.or_else(usual) else { return Ok(None) };
    match read(&path) {
        Ok(text) => Ok(Some((path, text))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !is_named => Ok(None),
        Err(source) => Err(ConfigError::Read { path, source }),
    }
}

fn read(path: &Path) -> std::io::Result<String> {
    std::fs::read_to_string(path)
}

/// What types alone cannot say.
fn check(config: &Config) -> Result<(), ConfigError> {
    let wrong = |place: &str, reason: &str| {
        Err(ConfigError::Invalid { place: place.to_owned(), reason: reason.to_owned() })
    };
    if config.session.cap == 0 {
        return wrong("session.cap", "at least one session must be allowed");
    }
    let spans = [("session.ttl", config.session.ttl), ("codex.patience", config.codex.patience)];
    for (key, span) in spans {
        if span.0.as_secs() == 0 {
            return wrong(key, "at least one second is needed");
        }
    }
    if config.limits.result_characters < 1000 {
        return wrong("limits.result_characters", "at least 1000 are needed");
    }
    if config.defaults.sandbox.is_some_and(|sandbox| sandbox > config.limits.sandbox_ceiling) {
        return wrong("defaults.sandbox", "it is wider than limits.sandbox_ceiling");
    }
    Ok(())
}

fn invalid(place: &str, error: &impl ToString) -> ConfigError {
    ConfigError::Invalid { place: place.to_owned(), reason: error.to_string().trim().to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codex::Sandbox;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        let variables = variables.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        Environment { variables: variables.collect(), config_folder: None }
    }

    fn flags(settings: &[(&str, &str)]) -> Flags {
        let settings = settings.iter().map(|(key, value)| (key.to_string(), value.to_string()));
        Flags { file: None, settings: settings.collect() }
    }

    fn file(text: &str) -> (tempfile::TempDir, Flags) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        std::fs::write(&path, text).unwrap();
        (folder, Flags { file: Some(path), settings: Vec::new() })
    }

    #[test]
    fn the_later_layer_wins_and_is_named() {
        let (_folder, mut flags) =
            file("[session]\nttl = \"1h\"\ncap = 5\n[defaults]\nmodel = \"file\"");
        flags.settings.push(("session.cap".into(), "7".into()));
        let environment = environment(&[
            ("CODEX_MCP_SERVER_SESSION_TTL", "2h"),
            ("CODEX_MCP_SERVER_LIMITS_SANDBOX_CEILING", "danger-full-access"),
            ("CODEX_DEFAULT_MODEL", "env"),
            ("CODEX_BIN", "/opt/codex"),
            ("HOME", "/nowhere"),
        ]);
        assert_eq!(
            resolve(&Flags::default(), &self::environment(&[("CODEX_BIN", "")]))
                .unwrap()
                .config
                .codex
                .bin,
            None
        );
        let Resolved { config, origins } = resolve(&flags, &environment).unwrap();
        assert_eq!(config.session.ttl.to_string(), "2h");
        assert_eq!(config.session.cap, 7);
        assert_eq!(config.defaults.model.as_deref(), Some("env"));
        assert_eq!(config.codex.bin, Some("/opt/codex".into()));
        assert_eq!(config.limits.sandbox_ceiling, Sandbox::DangerFullAccess);
        assert_eq!(config.session.rebuild_turns, 2);
        let place = |key: &str| origins[key].1.as_str();
        assert_eq!(place("session.ttl"), "CODEX_MCP_SERVER_SESSION_TTL");
        assert_eq!(place("session.cap"), "flag for `session.cap`");
        assert_eq!(place("store.kind"), "default");
    }

    #[test]
    fn a_mistake_is_named_with_its_place() {
        let message = |flags: &Flags, variables: &[(&str, &str)]| {
            resolve(flags, &environment(variables)).unwrap_err().to_string()
        };
        let none = Flags::default();
        let wrong = message(&none, &[("CODEX_MCP_SERVER_SESSION_TLL", "1h")]);
        assert!(
            wrong.starts_with("CODEX_MCP_SERVER_SESSION_TLL") && wrong.contains("tll"),
            "{wrong}"
        );
        let wrong = message(&none, &[("CODEX_MCP_SERVER_SESSION_TTL", "soon")]);
        assert!(wrong.contains("`soon` is not a length of time"), "{wrong}");
        let wrong = message(&flags(&[("limits.sandbox_ceiling", "open")]), &[]);
        assert!(wrong.contains("limits.sandbox_ceiling") && wrong.contains("read-only"), "{wrong}");
        let (folder, named) = file("[store]\nkind = 7");
        assert!(message(&named, &[]).starts_with(&folder.path().display().to_string()));
        let missing = Flags { file: Some("/no/config.toml".into()), settings: Vec::new() };
        assert!(message(&missing, &[]).contains("/no/config.toml"));
    }

    #[test]
    fn the_default_sandbox_stays_under_the_ceiling() {
        let settings = flags(&[("defaults.sandbox", "danger-full-access")]);
        assert!(resolve(&settings, &Environment::default()).is_err());
    }

    #[test]
    fn tools_are_a_list_of_words() {
        let settings = flags(&[("tools", "codex, ping")]);
        let config = resolve(&settings, &Environment::default()).unwrap().config;
        assert_eq!(config.tools, ["codex", "ping"]);
    }
}
