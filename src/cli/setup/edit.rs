//! Putting one entry into a client's configuration file, or taking it out. Pure: text in, text out;
//! comments, order and everything else stay.

use jsonc_parser::{
    ParseOptions,
    cst::{CstInputValue, CstRootNode},
};
use serde_json::Value;
use toml_edit::{DocumentMut, Item, Table};

/// Why a file cannot be changed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// It is not what its client could read either.
    #[error("it cannot be read: {0}")]
    Malformed(String),
    /// The place for servers holds something else.
    #[error("`{0}` in it is not a table of servers")]
    Shape(String),
}

/// Whether a file is TOML; else it is JSON, perhaps with comments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    Json,
    Toml,
}

/// The entry there is.
pub(super) fn current(
    language: Language,
    text: &str,
    key: &str,
    name: &str,
) -> Result<Option<Value>, EditError> {
    let whole: Value = match language {
        Language::Json => root(text)?.to_serde_value().unwrap_or_default(),
        Language::Toml => {
            toml::from_str(text).map_err(|error| EditError::Malformed(error.to_string()))?
        }
    };
    Ok(whole.get(key).and_then(|all| all.get(name)).cloned())
}

/// The file with the entry, or without it if there is no `value`.
pub(super) fn edited(
    language: Language,
    text: &str,
    key: &str,
    name: &str,
    value: Option<&Value>,
) -> Result<String, EditError> {
    match language {
        Language::Json => edited_json(text, key, name, value),
        Language::Toml => edited_toml(text, key, name, value),
    }
}

fn root(text: &str) -> Result<CstRootNode, EditError> {
    let text = if text.trim().is_empty() { "{}\n" } else { text };
    CstRootNode::parse(text, &ParseOptions::default())
        .map_err(|error| EditError::Malformed(error.to_string()))
}

fn edited_json(
    text: &str,
    key: &str,
    name: &str,
    value: Option<&Value>,
) -> Result<String, EditError> {
    let root = root(text)?;
    let shape = || EditError::Shape(key.to_owned());
    let object = root.object_value_or_create().ok_or_else(shape)?;
    if let Some(value) = value {
        let servers = object.object_value_or_create(key).ok_or_else(shape)?;
        match servers.get(name) {
            Some(entry) => entry.set_value(input(value)),
            None => drop(servers.append(name, input(value))),
        }
        // A new file would be one line.
        servers.ensure_multiline();
        object.ensure_multiline();
    } else if let Some(entry) = object.object_value(key).and_then(|servers| servers.get(name)) {
        entry.remove();
    }
    let mut text = root.to_string();
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}

fn input(value: &Value) -> CstInputValue {
    match value {
        Value::Null => CstInputValue::Null,
        Value::Bool(value) => CstInputValue::Bool(*value),
        Value::Number(number) => CstInputValue::Number(number.to_string()),
        Value::String(text) => CstInputValue::String(text.clone()),
        Value::Array(items) => CstInputValue::Array(items.iter().map(input).collect()),
        Value::Object(fields) => CstInputValue::Object(
            fields.iter().map(|(name, value)| (name.clone(), input(value))).collect(),
        ),
    }
}

fn edited_toml(
    text: &str,
    key: &str,
    name: &str,
    value: Option<&Value>,
) -> Result<String, EditError> {
    let mut document: DocumentMut = text
        .parse()
        .map_err(|error: toml_edit::TomlError| EditError::Malformed(error.to_string()))?;
    let servers = document.entry(key).or_insert_with(|| {
        let mut table = Table::new();
        // Only its entries have a heading.
        table.set_implicit(true);
        Item::Table(table)
    });
    let servers = servers.as_table_like_mut().ok_or_else(|| EditError::Shape(key.to_owned()))?;
    match value {
        Some(Value::Object(fields)) => {
            let mut entry = Table::new();
            for (field, value) in fields {
                entry.insert(field, toml_item(value));
            }
            servers.insert(name, Item::Table(entry));
        }
        _ => drop(servers.remove(name)),
    }
    Ok(document.to_string())
}

fn toml_item(value: &Value) -> Item {
    match value {
        Value::Array(items) => {
            let words = items.iter().filter_map(Value::as_str);
            toml_edit::value(words.collect::<toml_edit::Array>())
        }
        Value::Object(fields) => {
            let mut table = toml_edit::InlineTable::new();
            for (name, value) in fields {
                table.insert(name, value.as_str().unwrap_or_default().into());
            }
            toml_edit::value(table)
        }
        Value::Bool(value) => toml_edit::value(*value),
        other => toml_edit::value(other.as_str().unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const JSON: &str = "// mine\n{\n  \"theme\": \"dark\", // keep\n  \"mcpServers\": {\n    \"other\": { \"command\": \"x\" }\n  }\n}\n";
    const TOML: &str = "# mine\nmodel = \"m\" # keep\n\n[mcp_servers.other]\ncommand = \"x\"\n";

    fn entry() -> Value {
        json!({"command": "/bin/cms", "args": ["--tools", "codex"], "env": {"A": "b"}})
    }

    #[test]
    fn an_entry_comes_and_goes_and_the_rest_stays() {
        for (language, text, key) in
            [(Language::Json, JSON, "mcpServers"), (Language::Toml, TOML, "mcp_servers")]
        {
            let with = edited(language, text, key, "codex", Some(&entry())).unwrap();
            assert_eq!(current(language, &with, key, "codex").unwrap(), Some(entry()), "{with}");
            assert!(with.contains("mine") && with.contains("keep") && with.contains("other"));
            let again = edited(language, &with, key, "codex", Some(&entry())).unwrap();
            assert_eq!(again, with);
            assert_eq!(edited(language, &with, key, "codex", None).unwrap(), text);
            assert_eq!(edited(language, text, key, "codex", None).unwrap(), text);
        }
    }

    #[test]
    fn a_file_that_is_not_there_begins_readable() {
        let with = edited(Language::Json, "", "mcpServers", "codex", Some(&entry())).unwrap();
        insta::assert_snapshot!("new_json", with);
        let with = edited(Language::Toml, "", "mcp_servers", "codex", Some(&entry())).unwrap();
        insta::assert_snapshot!("new_toml", with);
    }

    #[test]
    fn what_is_no_configuration_is_refused() {
        for (language, text) in [
            (Language::Json, "{"),
            (Language::Json, "[]"),
            (Language::Json, "{\"mcpServers\": []}"),
            (Language::Toml, "x = "),
            (Language::Toml, "mcpServers = 1"),
        ] {
            assert!(
                edited(language, text, "mcpServers", "codex", Some(&entry())).is_err(),
                "{text}"
            );
        }
    }
}
