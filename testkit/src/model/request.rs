//! One request as the model saw it.

use serde_json::Value;

/// The body of one `POST /v1/responses`, with readers for the parts tests ask about.
#[derive(Debug, Clone)]
pub struct ModelRequest {
    /// The body as sent.
    pub body: Value,
    /// The header that says who asks.
    pub authorization: Option<String>,
}

impl ModelRequest {
    /// The name of the model that was asked for.
    pub fn model(&self) -> &str {
        self.body["model"].as_str().unwrap_or_default()
    }

    /// The reasoning effort that was asked for, if any.
    pub fn effort(&self) -> Option<&str> {
        self.body["reasoning"]["effort"].as_str()
    }

    /// The directory that the model is told it works in.
    pub fn directory(&self) -> Option<String> {
        self.last_between("<cwd>", "</cwd>")
    }

    /// The sandbox that the model is told of; versions say it in one of two ways.
    pub fn sandbox(&self) -> Option<String> {
        let in_words = self.last_between("`sandbox_mode` is `", "`");
        in_words.or_else(|| self.last_between("<sandbox_mode>", "</sandbox_mode>"))
    }

    /// What stands last between two marks in what the model is told.
    fn last_between(&self, begin: &str, end: &str) -> Option<String> {
        let told = [self.messages("developer"), self.messages("user")].concat();
        let mut found = told.iter().rev().filter_map(|text| {
            let (_, after) = text.rsplit_once(begin)?;
            Some(after.split_once(end)?.0.to_owned())
        });
        found.next()
    }

    /// The messages of one role, in order, each flattened to text.
    pub fn messages(&self, role: &str) -> Vec<String> {
        self.items()
            .filter(|item| item["type"] == "message" && item["role"] == role)
            .map(|item| text_of(&item["content"]))
            .collect()
    }

    /// What the user said, in order, without the context blocks Codex adds by itself.
    pub fn prompts(&self) -> Vec<String> {
        let mut prompts = self.messages("user");
        prompts.retain(|text| !text.trim_start().starts_with(['<', '#']));
        prompts
    }

    /// What the model had answered before, in order.
    pub fn answers(&self) -> Vec<String> {
        self.messages("assistant")
    }

    /// The newest item, unless it is a message: the output of a tool the model called.
    pub fn tool_output(&self) -> Option<String> {
        let last = self.items().last()?;
        let kind = last["type"].as_str()?;
        kind.ends_with("_output").then(|| match &last["output"] {
            Value::String(text) => text.clone(),
            other => text_of(other),
        })
    }

    /// How many tools have answered since the user said something.
    pub fn outputs(&self) -> usize {
        let items = self.items().collect::<Vec<_>>();
        let since = items.iter().rev().take_while(|item| item["role"] != "user");
        since
            .filter(|item| item["type"].as_str().is_some_and(|kind| kind.ends_with("_output")))
            .count()
    }

    /// Whether the model has called this tool before.
    pub fn has_called(&self, tool: &str) -> bool {
        self.items().any(|item| item["type"] == "function_call" && item["name"] == tool)
    }

    /// The names of the tools the model was offered.
    pub fn tools(&self) -> Vec<&str> {
        let tools = self.body["tools"].as_array();
        tools
            .into_iter()
            .flatten()
            .filter_map(|tool| tool["name"].as_str().or(tool["type"].as_str()))
            .collect()
    }

    /// One of those tools, by its name.
    pub fn tool(&self, name: &str) -> Option<&Value> {
        let tools = self.body["tools"].as_array().into_iter().flatten();
        tools.into_iter().find(|tool| tool["name"] == name || tool["type"] == name)
    }

    /// Whether it is a review that asks: the schema of its answer is in the prompt.
    pub fn is_review(&self) -> bool {
        self.prompts().pop().is_some_and(|last| last.contains("\"needs-attention\""))
    }

    /// The schema that the answer must fit, if one was sent besides the prompt.
    pub fn schema(&self) -> Option<&Value> {
        self.body.pointer("/text/format/schema")
    }

    /// The images the user gave, as data URLs.
    pub fn images(&self) -> Vec<&str> {
        let parts = self.items().filter_map(|item| item["content"].as_array()).flatten();
        parts.filter_map(|part| part["image_url"].as_str()).collect()
    }

    fn items(&self) -> impl Iterator<Item = &Value> {
        self.body["input"].as_array().into_iter().flatten()
    }
}

fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            parts.iter().filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    }
}
