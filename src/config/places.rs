//! Makes relative paths among settings absolute, for a process that works in another directory. Which settings are paths
//! their declarations say.

use std::path::Path;

use serde_json::Value as Schema;
use toml::Value;

use super::{Config, declared::Place, layers::ConfigError, schema::schema};

impl Config {
    /// The same settings with absolute paths. Relative ones are below `base`.
    ///
    /// # Errors
    /// If a path is not text.
    pub fn absolute(self, base: &Path) -> Result<Self, ConfigError> {
        let failed = |error: String| ConfigError::Invalid {
            place: "configuration".to_owned(),
            reason: error,
        };
        let mut all = Value::try_from(self).map_err(|error| failed(error.to_string()))?;
        below(base, &schema(), &mut all);
        all.try_into().map_err(|error| failed(error.to_string()))
    }
}

impl Place {
    /// What a declaration says with its `format`.
    pub(super) fn declared(schema: &Schema) -> Option<Self> {
        match schema.get("format")?.as_str()? {
            "path" => Some(Self::Path),
            "program" => Some(Self::Program),
            "path-or-url" => Some(Self::PathOrUrl),
            _ => None,
        }
    }

    /// Makes a value absolute: a path, or a list or a table of paths.
    pub(super) fn make_absolute(self, value: &mut Value, base: &Path) {
        match value {
            Value::String(text) => {
                let stays = match self {
                    Self::Path => false,
                    Self::Program => Path::new(text).components().count() == 1,
                    Self::PathOrUrl => text.contains("://"),
                };
                if !stays {
                    *text = base.join(&*text).display().to_string();
                }
            }
            Value::Array(paths) => paths.iter_mut().for_each(|path| self.make_absolute(path, base)),
            Value::Table(paths) => {
                paths.iter_mut().for_each(|(_, path)| self.make_absolute(path, base));
            }
            _ => {}
        }
    }
}

/// Makes all paths absolute in what was declared so.
fn below(base: &Path, schema: &Schema, value: &mut Value) {
    if let Some(place) = Place::declared(schema) {
        return place.make_absolute(value, base);
    }
    let Value::Table(table) = value else { return };
    for (name, value) in table {
        let declared = schema.get("properties").and_then(|all| all.get(name));
        if let Some(schema) = declared.or_else(|| schema.get("additionalProperties")) {
            below(base, schema, value);
        }
    }
}
