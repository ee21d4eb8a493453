//! Why a request could not be read. The SDK hands on what has a method of MCP but not its parameters as if
//! the method were unknown.

use rmcp::{
    ErrorData,
    model::{
        CallToolRequestParams, CompleteRequestParams, CustomRequest, ErrorCode,
        GetPromptRequestParams, InitializeRequestParams, PaginatedRequestParams,
        ReadResourceRequestParams, SubscribeRequestParams, UnsubscribeRequestParams,
    },
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::arguments::in_json_words;

/// What MCP 2026-07-28 has no more.
const REMOVED: [&str; 4] = ["initialize", "ping", "resources/subscribe", "resources/unsubscribe"];

/// The error for a request that the SDK could not read, from a client of the newer era or not.
pub(super) fn explain(request: CustomRequest, is_modern: bool) -> ErrorData {
    let CustomRequest { method, params, .. } = request;
    if is_modern && REMOVED.contains(&method.as_str()) {
        return unknown_method(&method);
    }
    let params = params.filter(|params| !params.is_null());
    let params = params.unwrap_or_else(|| Value::Object(Map::new()));
    let read = match method.as_str() {
        "completion/complete" => read::<CompleteRequestParams>,
        "initialize" => read::<InitializeRequestParams>,
        "prompts/get" => read::<GetPromptRequestParams>,
        "prompts/list" | "resources/list" | "resources/templates/list" | "tools/list" => {
            read::<PaginatedRequestParams>
        }
        "ping" | "server/discover" | "subscriptions/listen" => read::<Map<String, Value>>,
        "resources/read" => read::<ReadResourceRequestParams>,
        "resources/subscribe" => read::<SubscribeRequestParams>,
        "resources/unsubscribe" => read::<UnsubscribeRequestParams>,
        "tools/call" => read::<CallToolRequestParams>,
        _ => return unknown_method(&method),
    };
    let reason = match (params.is_object(), read(params)) {
        (false, _) => "`params` must be an object".to_owned(),
        (true, Some(reason)) => reason,
        (true, None) => "its parameters are not as MCP defines them".to_owned(),
    };
    ErrorData::invalid_params(format!("{method}: {reason}"), None)
}

/// The error for a method that is not served here.
pub(super) fn unknown_method(method: &str) -> ErrorData {
    ErrorData::new(ErrorCode::METHOD_NOT_FOUND, format!("there is no method `{method}`"), None)
}

/// What is wrong with the parameters; `None` if nothing is.
fn read<T: DeserializeOwned>(params: Value) -> Option<String> {
    let error = serde_path_to_error::deserialize::<_, T>(params).err()?;
    let path = error.path().to_string();
    let reason = in_json_words(&error.into_inner().to_string());
    Some(if path == "." { reason } else { format!("`{path}`: {reason}") })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_parameter_that_is_wrong_is_named() {
        for (method, params, words) in [
            (
                "tools/call",
                json!({"name": "x", "arguments": []}),
                "`arguments`: expected an object, got an array",
            ),
            ("tools/call", json!({"arguments": {}}), "missing field `name`"),
            ("tools/call", json!([]), "`params` must be an object"),
            ("tools/list", json!({"cursor": 7}), "`cursor`: expected a string"),
        ] {
            let error = explain(CustomRequest::new(method, Some(params)), true);
            assert_eq!(error.code, ErrorCode::INVALID_PARAMS, "{method}");
            assert!(error.message.contains(words), "{}", error.message);
        }
        let code =
            |method: &str, is_modern| explain(CustomRequest::new(method, None), is_modern).code;
        assert_eq!(code("no/such", false), ErrorCode::METHOD_NOT_FOUND);
        assert_eq!(code("resources/subscribe", true), ErrorCode::METHOD_NOT_FOUND);
        assert_eq!(code("resources/subscribe", false), ErrorCode::INVALID_PARAMS);
    }
}
