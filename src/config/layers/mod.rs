//! Putting the layers together.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use toml::{Table, Value};

use super::{
    Config,
    declared::{Place, Setting, setting, settings},
};

/// What our own variables begin with. `CODEX_MCP_SERVER_SESSION_TTL` is `session.ttl`.
const PREFIX: &str = "CODEX_MCP_SERVER_";

/// Names the configuration file itself; not a setting.
const CONFIG_VARIABLE: &str = "CODEX_MCP_SERVER_CONFIG";

/// Turns the structured form of results on or off, in words of its own.
const STRUCTURED: &str = "STRUCTURED_CONTENT_ENABLED";

/// Variables of the npm package, and of other programs that start Codex, that mean a setting of ours.
const ALIASES: &[(&str, &str)] = &[
    ("CODEX_BIN", "codex.bin"),
    ("CODEX_DEFAULT_MODEL", "defaults.model"),
    ("CODEX_MCP_CALLBACK_URI", "defaults.callback_uri"),
    (STRUCTURED, "results.structured"),
];

/// Older names of settings, which are still taken.
const RENAMED: &[(&str, &str)] = &[("codex.patience", "codex.timeout")];

/// The variables that set a secret.
pub fn secret_variables() -> Vec<String> {
    let secrets = settings().iter().filter(|setting| setting.is_secret);
    let name =
        |setting: &Setting| format!("{PREFIX}{}", setting.key.replace('.', "_").to_uppercase());
    secrets.map(name).collect()
}

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
        /// The cause.
        #[source]
        source: std::io::Error,
    },
}

/// The environment variables. They are passed in so that tests need not change their own.
#[derive(Debug, Clone, Default)]
pub struct Variables {
    /// All variables whose name and value are text.
    pub values: BTreeMap<String, String>,
    /// The user's configuration folder.
    pub config_folder: Option<PathBuf>,
}

/// The flags that mean settings.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// `--config`.
    pub file: Option<PathBuf>,
    /// Settings by dotted key, in order. A value is read as TOML if it is valid TOML, else as text.
    pub settings: Vec<(String, String)>,
}

impl Flags {
    /// The same flags with absolute paths, for a program that is started elsewhere. Relative paths are below
    /// `base`.
    pub fn absolute(&self, base: &Path) -> Self {
        let settings = self.settings.iter().map(|(key, text)| {
            let place = setting(renamed(key)).and_then(|setting| setting.place);
            let text =
                place.map_or_else(|| text.clone(), |place| absolute((key, place), text, base));
            (key.clone(), text)
        });
        Self { file: self.file.as_ref().map(|file| base.join(file)), settings: settings.collect() }
    }
}

fn absolute((key, place): (&str, Place), text: &str, base: &Path) -> String {
    let mut value = match value(key, text) {
        value @ (Value::Array(_) | Value::Table(_) | Value::String(_)) => value,
        // A path may be called `4`.
        _ => Value::String(text.to_owned()),
    };
    place.make_absolute(&mut value, base);
    match value {
        Value::String(path) => path,
        paths => paths.to_string(),
    }
}

/// What a setting is called now.
fn renamed(key: &str) -> &str {
    RENAMED.iter().find(|(old, _)| *old == key).map_or(key, |(_, new)| new)
}

/// The effective settings, and where each comes from.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// The settings.
    pub config: Config,
    /// Every key and its value, with the place it comes from.
    pub origins: BTreeMap<String, (Value, String)>,
}

/// Merges defaults, file, environment and flags.
///
/// The default file may be missing; a file that was named must exist.
///
/// # Errors
/// [`ConfigError`], with the place of the mistake.
pub fn resolve(flags: &Flags, variables: &Variables) -> Result<Resolved, ConfigError> {
    let mut merged = Merged::default();
    let defaults =
        Table::try_from(Config::default()).map_err(|error| invalid("defaults", &error))?;
    merged.add(&defaults, "default")?;
    if let Some((path, text)) = read_file(flags, variables)? {
        let place = path.display().to_string();
        let table: Table = text.parse().map_err(|error| invalid(&place, &error))?;
        merged.add(&table, &place)?;
    }
    for (name, value) in &variables.values {
        // Some launchers pass on a variable that nobody has filled in.
        if value.trim().is_empty() {
            continue;
        }
        if let Some(key) = key_of(name) {
            let value = if name == STRUCTURED { truth(value) } else { value };
            merged.add_text(&key, value, name)?;
        }
    }
    for (key, value) in &flags.settings {
        merged.add_text(key, value, &format!("flag for `{key}`"))?;
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
    /// Merges a layer over the earlier ones. Fails if it is not a valid configuration by itself.
    fn add(&mut self, layer: &Table, place: &str) -> Result<(), ConfigError> {
        let mut layer = layer.clone();
        for (old, new) in RENAMED {
            if let Some(value) = remove(&mut layer, old) {
                insert(&mut layer, new, value);
            }
        }
        let _alone: Config = layer.clone().try_into().map_err(|error| invalid(place, &error))?;
        for (key, value) in leaves(&layer, "") {
            if let Some(range) = setting(&key).and_then(|setting| setting.range.check(&value)) {
                return Err(invalid(place, &format!("{key}: {range}")));
            }
            self.origins.insert(key, (value, place.to_owned()));
        }
        merge(&mut self.table, layer);
        Ok(())
    }
}

impl Merged {
    /// Merges one setting that is written as text.
    fn add_text(&mut self, key: &str, text: &str, place: &str) -> Result<(), ConfigError> {
        let read = self.add(&table(key, value(key, text)), place);
        // A model may be called `4`.
        read.or_else(|error| {
            let text = Value::String(text.to_owned());
            self.add(&table(key, text), place).map_err(|_| error)
        })
    }
}

/// All values by their dotted keys.
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

/// Takes what a later layer has over an earlier one. Not by dotted keys: those of a table that the operator fills may have
/// dots in them.
fn merge(table: &mut Table, later: Table) {
    for (name, value) in later {
        match (table.get_mut(&name), value) {
            (Some(Value::Table(earlier)), Value::Table(inner)) => merge(earlier, inner),
            (_, value) => drop(table.insert(name, value)),
        }
    }
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

fn remove(table: &mut Table, key: &str) -> Option<Value> {
    match key.split_once('.') {
        None => table.remove(key),
        Some((section, rest)) => remove(table.get_mut(section)?.as_table_mut()?, rest),
    }
}

/// Reads a value. Valid TOML is TOML, anything else is text: `5` is a number, `5m` is text. A list can be words
/// between commas.
fn value(key: &str, text: &str) -> Value {
    let is_list = setting(renamed(key)).is_some_and(|setting| setting.is_list);
    if is_list && !text.trim_start().starts_with('[') {
        let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
        Value::Array(names.map(Value::from).collect())
    } else {
        let read: Option<Table> = format!("value = {text}").parse().ok();
        let read = read.and_then(|mut table| table.remove("value"));
        read.unwrap_or_else(|| Value::String(text.to_owned()))
    }
}

/// Reads `true` or `false` as the npm package does.
fn truth(text: &str) -> &'static str {
    let is_true = ["1", "true", "yes", "on"].iter().any(|word| text.eq_ignore_ascii_case(word));
    if is_true { "true" } else { "false" }
}

/// A table with one setting.
fn table(key: &str, value: Value) -> Table {
    let mut table = Table::new();
    insert(&mut table, key, value);
    table
}

/// The key of the setting that a variable means. The first word is the section. `None` if it means none.
fn key_of(variable: &str) -> Option<String> {
    if let Some((_, key)) = ALIASES.iter().find(|(name, _)| *name == variable) {
        return Some((*key).to_owned());
    }
    if variable == CONFIG_VARIABLE {
        return None;
    }
    let name = variable.strip_prefix(PREFIX)?.to_lowercase();
    Some(match name.split_once('_') {
        Some(("http", key)) if let Some(key) = key.strip_prefix("jwt_") => {
            format!("http.jwt.{key}")
        }
        Some((section, key)) => format!("{section}.{key}"),
        None => name,
    })
}

fn read_file(
    flags: &Flags,
    variables: &Variables,
) -> Result<Option<(PathBuf, String)>, ConfigError> {
    let named = flags.file.clone().or_else(|| named_by(variables).map(PathBuf::from));
    let is_named = named.is_some();
    let usual = || Some(variables.config_folder.as_ref()?.join("codex-mcp-server/config.toml"));
    let Some(path) = named.or_else(usual) else { return Ok(None) };
    match read(&path) {
        Ok(text) => Ok(Some((path, text))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !is_named => Ok(None),
        Err(source) => Err(ConfigError::Read { path, source }),
    }
}

fn named_by(variables: &Variables) -> Option<&String> {
    variables.values.get(CONFIG_VARIABLE).filter(|path| !path.trim().is_empty())
}

fn read(path: &Path) -> std::io::Result<String> {
    std::fs::read_to_string(path)
}

/// Checks what is said of more than one setting.
fn check(config: &Config) -> Result<(), ConfigError> {
    let wrong = |place: &str, reason: &str| {
        Err(ConfigError::Invalid { place: place.to_owned(), reason: reason.to_owned() })
    };
    if config.limits.image_bytes == 0 && config.limits.images > 0 {
        return wrong(
            "limits.image_bytes",
            "at least one is needed; `limits.images = 0` allows none",
        );
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
mod tests;
