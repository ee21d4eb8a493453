//! Reading a call's arguments.
//!
//! Lenient about what we do not know (one client puts arguments of its own into every call) and about
//! `null`, which means absent; exact about everything else, because a client's model can only correct
//! what it is told precisely.

use std::time::Duration;

use rmcp::model::JsonObject;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::ToolError;
use crate::session::SessionName;

/// Other spellings of arguments, and what each stands for.
const SPELLINGS: [(&str, &str); 5] = [
    ("approval-policy", "approvalPolicy"),
    ("base-instructions", "baseInstructions"),
    ("conversationId", "threadId"),
    ("cwd", "workingDirectory"),
    ("developer-instructions", "developerInstructions"),
];

/// Reads the arguments into a tool's input.
pub(super) fn read<T: DeserializeOwned>(arguments: Option<JsonObject>) -> Result<T, ToolError> {
    let mut given = arguments.unwrap_or_default();
    given.retain(|_, value| !value.is_null());
    let names: Vec<String> = given.keys().cloned().collect();
    serde_path_to_error::deserialize(Value::Object(given)).map_err(|error| {
        let path = error.path().to_string();
        let reason = error.into_inner().to_string();
        if let Some(field) = quoted(&reason, "missing field ") {
            return ToolError::argument(field, "it is required");
        }
        if let Some(field) = quoted(&reason, "duplicate field ") {
            let is_given = |spelling: &&str| names.iter().any(|name| name == spelling);
            let others = SPELLINGS.iter().filter(|(_, name)| *name == field);
            let other = others.map(|(spelling, _)| *spelling).find(is_given).unwrap_or(field);
            return ToolError::argument(field, &format!("pass it or `{other}`, not both"));
        }
        ToolError::argument(&path, &in_json_words(&reason))
    })
}

/// The name in backticks after these words, if `reason` begins with them.
fn quoted<'a>(reason: &'a str, words: &str) -> Option<&'a str> {
    reason.strip_prefix(words)?.strip_prefix('`')?.split('`').next()
}

/// Makes integers of numbers like `60.0`: in JSON they are the same.
pub(super) fn whole_numbers(arguments: &mut JsonObject) {
    /// Up to here every whole number is exact.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    for value in arguments.values_mut() {
        let number = value.as_f64().filter(|_| value.is_f64());
        if let Some(number) = number.filter(|n| n.fract() == 0.0 && n.abs() <= EXACT) {
            // Written without its fraction, it is read as an integer.
            *value = serde_json::from_str(&format!("{number:.0}")).unwrap_or(Value::Null);
        }
    }
}

/// What serde says of a value of the wrong type, in the words of JSON.
pub(super) fn in_json_words(reason: &str) -> String {
    let Some((got, expected)) = reason.split_once(", expected ") else { return reason.to_owned() };
    let got = ["invalid type: ", "invalid value: "].iter().find_map(|kind| got.strip_prefix(kind));
    let Some(got) = got else { return reason.to_owned() };
    let expected = match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number of 0 or more",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "a sequence" => "an array",
        "a map" => "an object",
        "path string" => "a string",
        kind if kind.starts_with("struct ") => "an object",
        words => words,
    };
    let got = match got.split_once(' ').unwrap_or((got, "")) {
        ("sequence", _) => "an array".to_owned(),
        ("map", _) => "an object".to_owned(),
        ("integer", number) => format!("the number {number}"),
        ("floating", rest) => format!("the number {}", rest.trim_start_matches("point ")),
        ("string", text) => format!("the string {text}"),
        ("boolean", word) => word.to_owned(),
        _ => got.to_owned(),
    };
    format!("expected {expected}, got {got}")
}

/// A number of seconds, from `least` to a day.
pub(super) fn seconds(
    name: &str,
    given: Option<u64>,
    least: u64,
) -> Result<Option<Duration>, ToolError> {
    const DAY: u64 = 24 * 60 * 60;
    match given {
        Some(seconds) if !(least..=DAY).contains(&seconds) => {
            Err(ToolError::argument(name, &format!("{seconds} is not from {least} to {DAY}")))
        }
        given => Ok(given.map(Duration::from_secs)),
    }
}

/// The id of a thread of Codex's own, as the name of its session.
pub(super) fn thread(name: &str, given: &str) -> Result<SessionName, ToolError> {
    let id = uuid::Uuid::try_parse(given.trim()).ok();
    let id = id.and_then(|id| id.to_string().parse().ok());
    id.ok_or_else(|| ToolError::argument(name, &format!("`{given}` is not the UUID of a thread")))
}

/// The names of arguments the tool does not have, neither shown nor `hidden`.
pub(super) fn unknown(
    arguments: Option<&JsonObject>,
    schema: &JsonObject,
    hidden: &[&str],
) -> Vec<String> {
    let known = schema.get("properties").and_then(Value::as_object);
    let is_known = |name: &String| {
        known.is_some_and(|known| known.contains_key(name)) || hidden.contains(&name.as_str())
    };
    let given = arguments.into_iter().flat_map(JsonObject::keys);
    given.filter(|name| !is_known(name)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Input {
        prompt: String,
        reset_session: Option<bool>,
    }

    fn parse(arguments: &Value) -> Result<Input, ToolError> {
        read(arguments.as_object().cloned())
    }

    #[test]
    fn null_is_absent_and_unknown_passes() {
        let input = parse(&json!({"prompt": "p", "resetSession": null, "extra": 1})).unwrap();
        assert_eq!((input.prompt.as_str(), input.reset_session), ("p", None));
        let schema = json!({"properties": {"prompt": {}}});
        let given = json!({"prompt": "p", "extra": 1});
        assert_eq!(unknown(given.as_object(), schema.as_object().unwrap(), &[]), ["extra"]);
    }

    #[test]
    fn types_are_named_in_the_words_of_json() {
        for (reason, words) in [
            (
                "invalid type: floating point `1.5`, expected u64",
                "expected a whole number of 0 or more, got the number `1.5`",
            ),
            ("invalid type: sequence, expected a map", "expected an object, got an array"),
            (
                "invalid type: string \"a, b\", expected a boolean",
                "expected a boolean, got the string \"a, b\"",
            ),
            ("invalid type: map, expected path string", "expected a string, got an object"),
            ("something else", "something else"),
        ] {
            assert_eq!(in_json_words(reason), words);
        }
    }

    #[test]
    fn a_number_without_a_fraction_is_an_integer() {
        let mut given = json!({"a": 60.0, "b": -1.0, "c": 1.5, "d": 1e300, "e": {"f": 1.0}});
        let given = given.as_object_mut().unwrap();
        whole_numbers(given);
        let expected = json!({"a": 60, "b": -1, "c": 1.5, "d": 1e300, "e": {"f": 1.0}});
        assert_eq!(serde_json::to_string(&given).unwrap(), expected.to_string());
    }

    #[test]
    fn a_bad_argument_is_named() {
        for (arguments, argument) in [
            (json!({}), "prompt"),
            (json!({"prompt": null}), "prompt"),
            (json!({"prompt": 7}), "prompt"),
            (json!({"prompt": "p", "resetSession": "yes"}), "resetSession"),
        ] {
            let error = parse(&arguments).unwrap_err();
            assert!(error.message().contains(&format!("`{argument}`")), "{arguments}: {error:?}");
        }
    }
}
