//! The three shapes a line can have, told apart by the fields that are there.
//!
//! The app-server omits `"jsonrpc":"2.0"` and numbers its own requests from 0, in an id space apart
//! from ours (observed, all versions).

use serde_json::{Map, Value, json};

/// The id of a request the other side made, given back as it came.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RequestId(Value);

impl std::fmt::Display for RequestId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// What the other side answered instead of a result.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message} (code {code})")]
pub(crate) struct ErrorObject {
    pub(crate) code: i64,
    pub(crate) message: String,
}

/// One line from the other side.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Message {
    Response { id: u64, result: Result<Value, ErrorObject> },
    Incoming(Incoming),
}

/// What the other side says without being asked.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Incoming {
    Request { id: RequestId, method: String, params: Value },
    Notification { method: String, params: Value },
}

impl Message {
    /// Classifies a line. `None` if it has none of the three shapes.
    pub(super) fn parse(line: &[u8]) -> Option<Self> {
        let mut fields: Map<String, Value> = serde_json::from_slice(line).ok()?;
        let id = fields.remove("id");
        let Some(method) = fields.remove("method") else {
            let id = id?.as_u64()?;
            let result = match fields.remove("error") {
                Some(error) => Err(ErrorObject::from_value(&error)),
                None => Ok(fields.remove("result").unwrap_or_default()),
            };
            return Some(Self::Response { id, result });
        };
        let method = method.as_str()?.to_owned();
        let params = fields.remove("params").unwrap_or_default();
        Some(Self::Incoming(match id {
            Some(id) => Incoming::Request { id: RequestId(id), method, params },
            None => Incoming::Notification { method, params },
        }))
    }
}

impl ErrorObject {
    fn from_value(value: &Value) -> Self {
        let code = value.get("code").and_then(Value::as_i64).unwrap_or_default();
        let message = value.get("message").and_then(Value::as_str);
        // An error of an unknown shape is still worth reading.
        Self { code, message: message.map_or_else(|| value.to_string(), str::to_owned) }
    }
}

pub(super) fn request(id: u64, method: &str, params: &Value) -> String {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string()
}

pub(super) fn notification(method: &str) -> String {
    json!({"jsonrpc": "2.0", "method": method}).to_string()
}

pub(super) fn response(id: &RequestId, result: &Value) -> String {
    json!({"jsonrpc": "2.0", "id": id.0, "result": result}).to_string()
}

pub(super) fn refusal(id: &RequestId, code: i64, message: &str) -> String {
    json!({"jsonrpc": "2.0", "id": id.0, "error": {"code": code, "message": message}}).to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::hash_map(".{0,6}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Message::parse(&bytes);
        }

        #[test]
        fn any_json_is_read_without_a_panic(value in value()) {
            let _ = Message::parse(value.to_string().as_bytes());
        }

        #[test]
        fn each_shape_is_read_as_what_was_written(
            id in any::<u64>(), other in value(), method in ".{0,12}", params in value(),
        ) {
            let line = request(id, &method, &params);
            let asked = Incoming::Request { id: RequestId(id.into()), method, params: params.clone() };
            prop_assert_eq!(Message::parse(line.as_bytes()), Some(Message::Incoming(asked)));

            // Whatever the other side chose as an id is given back as it came.
            let id = RequestId(other);
            let answer: Value = serde_json::from_str(&response(&id, &params)).unwrap();
            prop_assert_eq!((&answer["id"], &answer["result"]), (&id.0, &params));
            let refused: Value = serde_json::from_str(&refusal(&id, -32601, "no")).unwrap();
            prop_assert_eq!(&refused["id"], &id.0);

            let told = Incoming::Notification { method: "x".into(), params: Value::Null };
            let line = notification("x");
            prop_assert_eq!(Message::parse(line.as_bytes()), Some(Message::Incoming(told)));
        }

        #[test]
        fn an_answer_finds_its_number(id in any::<u64>(), result in value()) {
            let line = response(&RequestId(id.into()), &result);
            let answer = Message::Response { id, result: Ok(result) };
            prop_assert_eq!(Message::parse(line.as_bytes()), Some(answer));
        }
    }

    fn parse(line: &str) -> Option<Message> {
        Message::parse(line.as_bytes())
    }

    #[test]
    fn tells_the_shapes_apart() {
        let response = Message::Response { id: 3, result: Ok(json!({"a": 1})) };
        assert_eq!(parse(r#"{"id":3,"result":{"a":1}}"#), Some(response));
        let error = ErrorObject { code: -32600, message: "no".into() };
        let failed = Message::Response { id: 3, result: Err(error) };
        assert_eq!(parse(r#"{"id":3,"error":{"code":-32600,"message":"no"}}"#), Some(failed));
        assert!(matches!(
            parse(r#"{"id":0,"method":"ask","params":{}}"#),
            Some(Message::Incoming(Incoming::Request { .. }))
        ));
        assert!(matches!(
            parse(r#"{"method":"told","emittedAtMs":5}"#),
            Some(Message::Incoming(Incoming::Notification { params: Value::Null, .. }))
        ));
    }

    #[test]
    fn anything_else_is_nothing() {
        for line in ["", "[]", "7", "{}", "not json", r#"{"id":"x","result":1}"#, "{\"id\":"] {
            assert_eq!(parse(line), None, "{line}");
        }
    }

    #[test]
    fn an_error_without_a_message_keeps_its_text() {
        let Some(Message::Response { result: Err(error), .. }) = parse(r#"{"id":1,"error":"odd"}"#)
        else {
            panic!("not an error");
        };
        assert_eq!(error.message, "\"odd\"");
    }
}
