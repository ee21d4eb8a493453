//! JSON schemas that every client takes.
//!
//! What schemars makes is correct but too rich: some clients refuse root combinators, references,
//! `null` unions or number formats. The golden snapshots show what is left.

use std::sync::Arc;

use rmcp::model::JsonObject;
use schemars::{
    JsonSchema,
    generate::{Contract, SchemaSettings},
};
use serde_json::{Value, json};

/// The name of a session.
#[derive(JsonSchema)]
#[schemars(inline)]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) struct Name(#[schemars(regex(pattern = "^[A-Za-z0-9_-]{1,256}$"))] String);

/// The schema of what is read as a type, flat and plain.
pub(super) fn of<T: JsonSchema>() -> Arc<JsonObject> {
    made::<T>(Contract::Deserialize)
}

fn made<T: JsonSchema>(contract: Contract) -> Arc<JsonObject> {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
        settings.contract = contract;
    });
    let schema = settings.into_generator().into_root_schema_for::<T>();
    let mut schema = schema.to_value();
    plain(&mut schema);
    let mut root = schema.as_object().cloned().unwrap_or_default();
    root.remove("title");
    root.remove("description");
    root.entry("properties").or_insert_with(|| Value::Object(JsonObject::new()));
    Arc::new(root)
}

/// Fields that only errors have.
const ERROR_FIELDS: [(&str, &str); 3] = [
    ("code", "On an error: which, for programs."),
    ("message", "On an error: what happened."),
    ("next", "On an error: what to do."),
];

/// The schema of a result, which errors fit too. Some clients check errors against it and hide those that do
/// not fit from their model.
pub(super) fn of_result<T: JsonSchema>() -> Arc<JsonObject> {
    let mut schema = JsonObject::clone(&made::<T>(Contract::Serialize));
    schema.remove("required");
    schema.values_mut().for_each(without_defaults);
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        for (name, description) in ERROR_FIELDS {
            let property = json!({"type": "string", "description": description});
            properties.insert(name.to_owned(), property);
        }
    }
    Arc::new(schema)
}

/// What is absent from a result is not there; nothing else is meant by it.
fn without_defaults(schema: &mut Value) {
    match schema {
        Value::Array(all) => all.iter_mut().for_each(without_defaults),
        Value::Object(fields) => {
            fields.remove("default");
            fields.values_mut().for_each(without_defaults);
        }
        _ => {}
    }
}

fn plain(schema: &mut Value) {
    match schema {
        Value::Array(all) => all.iter_mut().for_each(plain),
        Value::Object(fields) => {
            take_only_choice(fields);
            merge_kinds(fields);
            fields.remove("format");
            if fields.get("default") == Some(&Value::Null) {
                fields.remove("default");
            }
            if let Some(Value::Array(types)) = fields.get_mut("type") {
                types.retain(|kind| kind != "null");
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    fields.insert("type".to_owned(), only);
                }
            }
            if let Some(Value::Array(values)) = fields.get_mut("enum") {
                values.retain(|value| !value.is_null());
            }
            // Doc comments are wrapped; descriptions are read on one line.
            if let Some(Value::String(text)) = fields.get_mut("description") {
                *text = text.replace('\n', " ");
            }
            // An array says what its elements are.
            if fields.get("type").is_some_and(|kind| kind == "array")
                && let Some(Value::Object(element)) = fields.get_mut("items")
            {
                element.remove("description");
            }
            fields.values_mut().for_each(plain);
        }
        _ => {}
    }
}

/// One of several kinds of objects, told apart by a word, is one object: that word and what any kind has besides.
fn merge_kinds(fields: &mut JsonObject) {
    let Some(Value::Array(kinds)) = fields.remove("oneOf") else { return };
    let mut properties = JsonObject::new();
    let mut words = Vec::new();
    let mut tag = None;
    for kind in &kinds {
        for (name, property) in
            kind.get("properties").and_then(Value::as_object).into_iter().flatten()
        {
            if let Some(word) = property.get("const") {
                tag = Some(name.clone());
                words.push(word.clone());
            } else {
                properties.entry(name).or_insert_with(|| property.clone());
            }
        }
        // Words alone, each with a description of its own.
        words.extend(kind.get("const").cloned());
    }
    if let Some(tag) = tag {
        properties.insert(tag.clone(), json!({"type": "string", "enum": words}));
        fields.insert("type".to_owned(), "object".into());
        fields.insert("properties".to_owned(), Value::Object(properties));
        fields.insert("required".to_owned(), json!([tag]));
    } else {
        fields.insert("type".to_owned(), "string".into());
        fields.insert("enum".to_owned(), Value::Array(words));
    }
}

/// `anyOf: [X, null]` is X.
fn take_only_choice(fields: &mut JsonObject) {
    let Some(Value::Array(choices)) = fields.get("anyOf") else { return };
    let mut real = choices.iter().filter(|choice| choice.get("type") != Some(&"null".into()));
    if let (Some(Value::Object(only)), None) = (real.next(), real.next()) {
        let only = only.clone();
        fields.remove("anyOf");
        for (key, value) in only {
            fields.entry(key).or_insert(value);
        }
    }
}
