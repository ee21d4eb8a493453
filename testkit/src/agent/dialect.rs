//! Four model APIs, each as much as its client needs. As observed in Claude Code 2.1.330, Codex 0.169.0,
//! Gemini CLI 0.61.0 and opencode 1.18.33.

use serde_json::{Value, json};

use super::ToolUse;

/// Whose API is spoken, and so how its client names the tools of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Claude Code: Anthropic's Messages.
    Messages,
    /// Codex: OpenAI's Responses.
    Responses,
    /// Gemini CLI: Gemini's streamed content.
    Gemini,
    /// opencode: OpenAI's chat completions.
    Chat,
}

impl Dialect {
    /// What the client has shown of the tools' results in this request, in order.
    pub(super) fn results(self, request: &Value) -> Vec<String> {
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let shown = |value: &Value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        match self {
            Self::Messages => {
                let blocks =
                    list(&request["messages"]).into_iter().flat_map(|m| list(&m["content"]));
                let results = blocks.filter(|block| block["type"] == "tool_result");
                results.map(|block| shown(&block["content"])).collect()
            }
            Self::Responses => {
                let items = list(&request["input"]).into_iter();
                let results = items.filter(|item| item["type"] == "function_call_output");
                results.map(|item| shown(&item["output"])).collect()
            }
            Self::Gemini => {
                let parts = list(&request["contents"]).into_iter().flat_map(|c| list(&c["parts"]));
                let results = parts.filter_map(|part| part.get("functionResponse").cloned());
                results.map(|result| shown(&result["response"])).collect()
            }
            Self::Chat => {
                let messages = list(&request["messages"]).into_iter();
                let results = messages.filter(|message| message["role"] == "tool");
                results.map(|message| shown(&message["content"])).collect()
            }
        }
    }

    /// The stream that calls a tool of `server`; `number` tells this answer from all others.
    pub(super) fn call(self, server: &str, number: usize, tool: &ToolUse) -> String {
        let ToolUse { name, arguments, is_own } = tool;
        let words = arguments.to_string();
        match self {
            Self::Messages => {
                let name = if *is_own { name.clone() } else { format!("mcp__{server}__{name}") };
                let block = json!({"type": "tool_use", "id": format!("toolu_{number}"), "name": name, "input": {}});
                let delta = json!({"type": "input_json_delta", "partial_json": words});
                messages(number, &block, &delta, "tool_use")
            }
            Self::Responses => responses(
                number,
                &json!({
                    "type": "function_call", "call_id": format!("call_{number}"), "name": name,
                    "namespace": format!("mcp__{server}"), "arguments": words,
                }),
            ),
            Self::Gemini => {
                let name = format!("mcp_{server}_{name}");
                gemini(&json!({"functionCall": {"name": name, "args": arguments}}))
            }
            Self::Chat => {
                let function = json!({"name": format!("{server}_{name}"), "arguments": words});
                let call = json!({"index": 0, "id": format!("call_{number}"), "type": "function", "function": function});
                chat(&json!({"tool_calls": [call]}), "tool_calls")
            }
        }
    }

    /// The stream that says something and is done.
    pub(super) fn say(self, number: usize, text: &str) -> String {
        match self {
            Self::Messages => {
                let block = json!({"type": "text", "text": ""});
                messages(number, &block, &json!({"type": "text_delta", "text": text}), "end_turn")
            }
            Self::Responses => {
                let content = json!([{"type": "output_text", "text": text}]);
                responses(
                    number,
                    &json!({"type": "message", "role": "assistant", "content": content}),
                )
            }
            Self::Gemini => gemini(&json!({"text": text})),
            Self::Chat => chat(&json!({"content": text}), "stop"),
        }
    }
}

/// Without the names of the events, or with an id twice, this client asks again in another way.
fn messages(number: usize, block: &Value, delta: &Value, stop: &str) -> String {
    let usage = json!({"input_tokens": 1, "output_tokens": 1});
    let message = json!({
        "id": format!("msg_{number}"), "type": "message", "role": "assistant", "model": "stand-in",
        "content": [], "usage": usage,
    });
    let events = [
        json!({"type": "message_start", "message": message}),
        json!({"type": "content_block_start", "index": 0, "content_block": block}),
        json!({"type": "content_block_delta", "index": 0, "delta": delta}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": stop}, "usage": {"output_tokens": 1}}),
        json!({"type": "message_stop"}),
    ];
    let event = |event: &Value| {
        format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or_default())
    };
    events.iter().map(event).collect()
}

fn responses(number: usize, item: &Value) -> String {
    let done = json!({"type": "response.output_item.done", "item": item});
    let completed = json!({"type": "response.completed", "response": {"id": format!("r{number}")}});
    format!("data: {done}\n\ndata: {completed}\n\n")
}

fn gemini(part: &Value) -> String {
    let candidate = json!({"content": {"role": "model", "parts": [part]}, "finishReason": "STOP"});
    format!("data: {}\n\n", json!({"candidates": [candidate]}))
}

fn chat(delta: &Value, reason: &str) -> String {
    let piece = |delta: &Value, reason: Value| json!({"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]});
    let (first, last) = (piece(delta, Value::Null), piece(&json!({}), reason.into()));
    format!("data: {first}\n\ndata: {last}\n\ndata: [DONE]\n\n")
}
