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

/// Reads the arguments into a tool's input.
pub(super) fn read<T: DeserializeOwned>(arguments: Option<JsonObject>) -> Result<T, ToolError> {
    let mut given = arguments.unwrap_or_default();
    given.retain(|_, value| !value.is_null());
    serde_path_to_error::deserialize(Value::Object(given)).map_err(|error| {
        let path = error.path().to_string();
        let reason = error.into_inner().to_string();
        match reason.strip_prefix("missing field `").and_then(|rest| rest.split_once('`')) {
            Some((field, _)) => ToolError::argument(field, "it is required"),
            None => ToolError::argument(&path, &reason),
        }
    })
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
