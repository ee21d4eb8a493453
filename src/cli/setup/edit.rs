//! Putting one entry into a client's configuration file, or taking it out. Pure: text in, text out;
//! comments, order, ends of lines and everything else stay.

use jsonc_parser::{
    ParseOptions,
    cst::{CstInputValue, CstObject, CstRootNode},
};
use serde_json::{Map, Value};
use toml_edit::{DocumentMut, Item, Table, TableLike};

use super::lines::{self, MARK};

/// Why a file cannot be changed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// It is not what its client could read either.
    #[error("it cannot be read: {0}")]
    Malformed(String),
    /// The place for servers holds something else.
    #[error("`{0}` in it is not a table of servers")]
    Shape(String),
    /// A key is there twice, and programs differ in which one they take.
    #[error("`{0}` is in it twice; leave one")]
    Twice(String),
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
    let text = text.trim_start_matches(MARK);
    let whole: Value = match language {
        Language::Json => {
            let root = root(text)?;
            refuse_twice(&root, key, name)?;
            root.to_serde_value().unwrap_or_default()
        }
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
    let known = current(language, text, key, name)?;
    lines::keep(text, |plain| match language {
        Language::Json => edited_json(plain, key, name, known.as_ref(), value),
        Language::Toml => edited_toml(plain, key, name, known.as_ref(), value),
    })
}

fn refuse_twice(root: &CstRootNode, key: &str, name: &str) -> Result<(), EditError> {
    let refuse = |object: Option<CstObject>, name: &str| {
        let properties = object.iter().flat_map(CstObject::properties).filter(|property| {
            property.name().and_then(|name| name.decoded_value().ok()).as_deref() == Some(name)
        });
        if properties.count() > 1 { Err(EditError::Twice(name.to_owned())) } else { Ok(()) }
    };
    let object = root.object_value();
    refuse(object.clone(), key)?;
    refuse(object.and_then(|object| object.object_value(key)), name)
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
    known: Option<&Value>,
    value: Option<&Value>,
) -> Result<String, EditError> {
    let root = root(text)?;
    let shape = || EditError::Shape(key.to_owned());
    let object = root.object_value_or_create().ok_or_else(shape)?;
    if let Some(value) = value {
        let servers = object.object_value_or_create(key).ok_or_else(shape)?;
        let Some(entry) = servers.get(name) else {
            servers.append(name, input(value));
            // A new file would be one line.
            servers.ensure_multiline();
            object.ensure_multiline();
            return Ok(ended(&root));
        };
        match (entry.object_value(), known, value) {
            (Some(object), Some(Value::Object(known)), Value::Object(fields)) => {
                change_json(&object, known, fields);
            }
            _ => entry.set_value(input(value)),
        }
    } else if let Some(entry) = object.object_value(key).and_then(|servers| servers.get(name)) {
        entry.remove();
    }
    Ok(ended(&root))
}

/// The text, with the end of its last line.
fn ended(root: &CstRootNode) -> String {
    let mut text = root.to_string();
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

/// Touches only the fields of an entry that change.
fn change_json(object: &CstObject, known: &Map<String, Value>, fields: &Map<String, Value>) {
    for name in known.keys().filter(|name| !fields.contains_key(*name)) {
        if let Some(property) = object.get(name) {
            property.remove();
        }
    }
    for (name, value) in fields.iter().filter(|(name, value)| known.get(*name) != Some(value)) {
        match object.get(name) {
            Some(property) => property.set_value(input(value)),
            None => drop(object.append(name, input(value))),
        }
    }
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
    known: Option<&Value>,
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
    let there = servers.get_mut(name).and_then(Item::as_table_like_mut);
    match (there, known, value) {
        (Some(entry), Some(Value::Object(known)), Some(Value::Object(fields))) => {
            change_toml(entry, known, fields);
        }
        (_, _, Some(Value::Object(fields))) => {
            let mut entry = Table::new();
            change_toml(&mut entry, &Map::new(), fields);
            servers.insert(name, Item::Table(entry));
        }
        _ => drop(servers.remove(name)),
    }
    Ok(document.to_string())
}

/// Touches only the fields of a table that change.
fn change_toml(table: &mut dyn TableLike, known: &Map<String, Value>, fields: &Map<String, Value>) {
    for name in known.keys().filter(|name| !fields.contains_key(*name)) {
        table.remove(name);
    }
    for (name, value) in fields.iter().filter(|(name, value)| known.get(*name) != Some(value)) {
        let inner = table.get_mut(name).and_then(Item::as_table_like_mut);
        if let (Some(inner), Some(Value::Object(known)), Value::Object(fields)) =
            (inner, known.get(name), value)
        {
            change_toml(inner, known, fields);
            continue;
        }
        let Some(mut value) = toml_value(value) else { continue };
        // Its key and the comments around it stay.
        if let Some(Item::Value(there)) = table.get_mut(name) {
            value.decor_mut().clone_from(there.decor());
            *there = value;
        } else {
            table.insert(name, Item::Value(value));
        }
    }
}

/// The same in TOML, which has no `null`.
fn toml_value(value: &Value) -> Option<toml_edit::Value> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(value) => (*value).into(),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => integer.into(),
            None => number.as_f64()?.into(),
        },
        Value::String(text) => text.as_str().into(),
        Value::Array(items) => {
            items.iter().filter_map(toml_value).collect::<toml_edit::Array>().into()
        }
        Value::Object(fields) => {
            let fields = fields.iter().filter_map(|(name, value)| Some((name, toml_value(value)?)));
            fields.collect::<toml_edit::InlineTable>().into()
        }
    })
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
    fn only_what_changes_is_touched() {
        let toml = "[mcp_servers.codex]\n# mine\ncommand = \"/old/codex-mcp-server\"\nstartup_timeout_sec = 20.5 # slow\n\n[mcp_servers.codex.env]\n# a home\nCODEX_HOME = \"/c\"\n";
        let json = "{\"mcpServers\": {\"codex\": {\"command\": \"/old/codex-mcp-server\", \"timeout\": 600 /* slow */, \"env\": {\"CODEX_HOME\": \"/c\"}}}}\n";
        for (language, text, key, limit) in [
            (Language::Toml, toml, "mcp_servers", "startup_timeout_sec"),
            (Language::Json, json, "mcpServers", "timeout"),
        ] {
            let mut wanted = current(language, text, key, "codex").unwrap().unwrap();
            wanted["command"] = "/new/codex-mcp-server".into();
            let now = edited(language, text, key, "codex", Some(&wanted)).unwrap();
            assert_eq!(now, text.replace("/old/", "/new/"));
            wanted["env"]["CODEX_BIN"] = "/b".into();
            wanted[limit] = 7.into();
            wanted["args"] = json!(["x"]);
            let now = edited(language, text, key, "codex", Some(&wanted)).unwrap();
            assert_eq!(current(language, &now, key, "codex").unwrap(), Some(wanted), "{now}");
        }
    }

    #[test]
    fn ends_of_lines_and_the_mark_of_the_encoding_stay() {
        for (language, text, key) in
            [(Language::Json, JSON, "mcpServers"), (Language::Toml, TOML, "mcp_servers")]
        {
            let windows = format!("{MARK}{}", text.replace('\n', "\r\n"));
            let with = edited(language, &windows, key, "codex", Some(&entry())).unwrap();
            assert_eq!(current(language, &with, key, "codex").unwrap(), Some(entry()), "{with}");
            assert!(with.starts_with(MARK) && !with.replace("\r\n", "").contains('\n'), "{with:?}");
            assert_eq!(edited(language, &with, key, "codex", None).unwrap(), windows);
        }
    }

    #[test]
    fn a_key_that_is_there_twice_is_refused() {
        for (text, twice) in [
            ("{\"mcpServers\": {}, \"mcpServers\": {}}", "mcpServers"),
            ("{\"mcpServers\": {\"codex\": {}, \"c\\u006fdex\": {}}}", "codex"),
        ] {
            let error = edited(Language::Json, text, "mcpServers", "codex", Some(&entry()));
            assert_eq!(error, Err(EditError::Twice(twice.to_owned())));
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
