//! Reads one line as a message of MCP, or as the refusal to answer it with. Pure.
//!
//! The SDK drops lines it cannot parse, and takes a request with an invalid id for a notification, so that the
//! client waits for ever. Here every request gets an answer, with its id if the line has one. Malformed
//! notifications and responses are not answered, because two programs could then answer each other without
//! end.

use rmcp::{RoleServer, service::RxJsonRpcMessage};
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

/// JSON-RPC's code for a line that is not JSON.
const PARSE_ERROR: i32 = -32700;

/// JSON-RPC's code for JSON that is not a request.
const INVALID_REQUEST: i32 = -32600;

/// JSON-RPC's code for parameters that are wrong.
const INVALID_PARAMS: i32 = -32602;

/// How `serde_json` begins to say that a value is nested too deeply.
const TOO_DEEP: &str = "recursion limit exceeded";

/// What a line is.
#[derive(Debug)]
pub(super) enum Incoming {
    /// A message.
    Message(Box<RxJsonRpcMessage<RoleServer>>),
    /// Nothing that needs an answer.
    Nothing,
    /// No message; this is to be answered.
    Refused(Value),
}

/// A message as far as it must be understood to be answered.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Envelope<'a> {
    #[serde(borrow)]
    jsonrpc: Option<&'a RawValue>,
    #[serde(borrow, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    method: Option<&'a RawValue>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
    #[serde(borrow, deserialize_with = "present")]
    result: Option<&'a RawValue>,
    #[serde(borrow, deserialize_with = "present")]
    error: Option<&'a RawValue>,
}

/// The id of a request.
enum Id {
    /// There is none: it is a notification.
    Absent,
    /// A string or an integer.
    Valid(Value),
    /// Anything else; a number can be repeated all the same.
    Invalid(Value),
}

/// Reads one line without its end.
pub(super) fn read(line: &[u8]) -> Incoming {
    let line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line).trim_ascii();
    if line.is_empty() {
        return Incoming::Nothing;
    }
    let Ok(text) = std::str::from_utf8(line) else {
        return parse_error("the line is not UTF-8 text");
    };
    match line.first() {
        Some(b'{') => {}
        Some(b'[') if serde_json::from_str::<&RawValue>(text).is_ok() => {
            return invalid(Value::Null, "MCP has no batches: send one message on each line");
        }
        _ => {
            return match serde_json::from_str::<&RawValue>(text) {
                Ok(_) => invalid(Value::Null, "a message is a JSON object"),
                Err(error) => parse_error(&format!("the line is not JSON: {error}")),
            };
        }
    }
    match serde_json::from_str::<Envelope<'_>>(text) {
        Ok(envelope) => envelope.read(text),
        Err(error) => parse_error(&format!("the line is not JSON: {error}")),
    }
}

/// The answer to a line of more than `longest` bytes.
pub(super) fn too_long(longest: usize) -> Value {
    let mebibytes = longest / (1024 * 1024);
    refusal(&Value::Null, INVALID_REQUEST, &format!("a message may have up to {mebibytes} MiB"))
}

impl Envelope<'_> {
    fn read(self, text: &str) -> Incoming {
        let id = self.id();
        let has_version = self.jsonrpc.is_some_and(|version| version.get() == "\"2.0\"");
        let is_named = self.method.is_some_and(|method| method.get().starts_with('"'));
        let is_response = self.method.is_none() && (self.result.is_some() || self.error.is_some());
        match (id, is_named) {
            // Not answered in any case.
            (Id::Absent, true) => message(text).unwrap_or(Incoming::Nothing),
            _ if is_response => message(text).unwrap_or(Incoming::Nothing),
            (Id::Absent, false) => invalid(Value::Null, "it has no `method`"),
            (Id::Invalid(id), _) => invalid(id, "its `id` must be a string or an integer"),
            (Id::Valid(id), _) if !has_version => invalid(id, "its `jsonrpc` must be \"2.0\""),
            (Id::Valid(id), false) => invalid(id, "its `method` must be a string"),
            (Id::Valid(id), true) => message(text).unwrap_or_else(|error| {
                let reason = error.to_string();
                if reason.starts_with(TOO_DEEP) {
                    return invalid(id, "it is nested too deeply");
                }
                let is_object = self.params.is_none_or(|params| params.get().starts_with('{'));
                let (code, words) = match error.is_data() {
                    true if !is_object => (INVALID_PARAMS, "`params` must be an object".to_owned()),
                    true => (INVALID_REQUEST, format!("it is not a request of MCP: {reason}")),
                    false => (PARSE_ERROR, format!("the line is not JSON: {reason}")),
                };
                Incoming::Refused(refusal(&id, code, &words))
            }),
        }
    }

    fn id(&self) -> Id {
        let Some(raw) = self.id else { return Id::Absent };
        match serde_json::from_str(raw.get()) {
            Ok(id @ Value::String(_)) => Id::Valid(id),
            Ok(Value::Number(number)) if number.is_i64() => Id::Valid(number.into()),
            Ok(id @ Value::Number(_)) => Id::Invalid(id),
            _ => Id::Invalid(Value::Null),
        }
    }
}

fn message(text: &str) -> Result<Incoming, serde_json::Error> {
    serde_json::from_str(text).map(|message| Incoming::Message(Box::new(message)))
}

/// Tells a field that is `null` from one that is not there.
fn present<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

fn parse_error(words: &str) -> Incoming {
    Incoming::Refused(refusal(&Value::Null, PARSE_ERROR, words))
}

fn invalid(id: impl Into<Value>, words: &str) -> Incoming {
    Incoming::Refused(refusal(&id.into(), INVALID_REQUEST, words))
}

fn refusal(id: &Value, code: i32, words: &str) -> Value {
    let title = match code {
        PARSE_ERROR => "parse error",
        INVALID_PARAMS => "invalid parameters",
        _ => "invalid request",
    };
    json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": format!("{title}: {words}")}})
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refused(line: &str) -> Option<(i64, Value)> {
        match read(line.as_bytes()) {
            Incoming::Refused(answer) => {
                Some((answer["error"]["code"].as_i64().unwrap(), answer["id"].clone()))
            }
            _ => None,
        }
    }

    #[test]
    fn what_is_no_request_is_refused_with_its_id_where_it_has_one() {
        let deep = format!(
            r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{}1{}}}"#,
            "[".repeat(200),
            "]".repeat(200)
        );
        for (line, code, id) in [
            (deep.as_str(), INVALID_REQUEST, json!(7)),
            ("garbage", PARSE_ERROR, Value::Null),
            (r#"{"jsonrpc":"2.0","id":8,"method":"pi"#, PARSE_ERROR, Value::Null),
            (r#"{"jsonrpc":"2.0","id":8,"method":"\ud800"}"#, PARSE_ERROR, json!(8)),
            (r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, INVALID_REQUEST, json!(1.5)),
            (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, INVALID_REQUEST, Value::Null),
            (r#"{"jsonrpc":"2.0","id":[1],"method":"ping"}"#, INVALID_REQUEST, Value::Null),
            (r#"{"jsonrpc":"1.0","id":"a","method":"ping"}"#, INVALID_REQUEST, json!("a")),
            (r#"{"jsonrpc":"2.0","id":2,"method":"ping","params":[]}"#, INVALID_PARAMS, json!(2)),
            (r#"{"id":3,"method":"ping"}"#, INVALID_REQUEST, json!(3)),
            (r#"{"jsonrpc":"2.0","id":3,"method":5}"#, INVALID_REQUEST, json!(3)),
            (r#"{"jsonrpc":"2.0","id":9}"#, INVALID_REQUEST, json!(9)),
            (r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#, INVALID_REQUEST, Value::Null),
            ("[]", INVALID_REQUEST, Value::Null),
            ("[", PARSE_ERROR, Value::Null),
            ("{}", INVALID_REQUEST, Value::Null),
            ("7", INVALID_REQUEST, Value::Null),
        ] {
            assert_eq!(refused(line), Some((i64::from(code), id)), "{line}");
        }
        assert!(matches!(read(b"\xff\xfe"), Incoming::Refused(_)));
    }

    #[test]
    fn what_nobody_waits_for_is_not_answered() {
        for line in [
            "",
            " \r",
            r#"{"jsonrpc":"2.0","method":"notifications/none","params":7}"#,
            r#"{"method":"notifications/initialized"}"#,
            r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"parse error"}}"#,
            r#"{"jsonrpc":"2.0","id":1.5,"result":{}}"#,
            r#"{"error":7}"#,
        ] {
            assert_eq!(refused(line), None, "{line}");
        }
        let ping = "\u{feff}{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"method\":\"ping\"}\r";
        assert!(matches!(read(ping.as_bytes()), Incoming::Message(_)));
    }

    proptest! {
        #[test]
        fn any_line_can_be_read(line in proptest::collection::vec(any::<u8>(), 0..80)) {
            drop(read(&line));
        }

        #[test]
        fn every_request_is_a_message_or_answered(
            id in "(-?[0-9]{1,25}(\\.[0-9]+)?|\"[a-z]{0,3}\"|null|true|\\{\\})",
            method in "(\"[a-z/]{1,10}\"|7|null)",
            params in "(\\{\\}|\\[\\]|1|null|\\{\"name\":1\\})",
        ) {
            let line = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":{method},"params":{params}}}"#);
            prop_assert!(!matches!(read(line.as_bytes()), Incoming::Nothing), "{}", line);
        }
    }
}
