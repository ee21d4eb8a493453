//! What a client sees of a tool call.
//!
//! Some clients show their model only the structured form, some only the text, so each is complete by
//! itself. Structured content is always an object, and is there on errors too.

use rmcp::model::{CallToolResult, ContentBlock, JsonObject, MetaObject, TextContent};
use serde::Serialize;
use serde_json::{Value, json};

use super::{error::UserError, offer::Offer, resources};

/// Said to a call that repeats another one.
const JOINED: &str = "joined: this call repeats an earlier one whose answer nobody had, so it is that turn; \
                      nothing was run twice";

/// The answer of a tool, which may be an error with everything there is.
#[derive(Debug)]
pub(super) struct Answer {
    structured: JsonObject,
    text: String,
    links: Vec<ContentBlock>,
    /// The `_meta` of the text block, for clients of the npm package.
    beside: JsonObject,
    error: Option<UserError>,
}

impl Answer {
    /// An answer whose text is `text` and whose structured form is `value`, which must be an object.
    pub(super) fn new(value: &impl Serialize, text: impl Into<String>) -> Self {
        let structured = match serde_json::to_value(value) {
            Ok(Value::Object(fields)) => fields,
            // No output type of ours gets here; a test of every tool sees to it.
            other => JsonObject::from_iter([("value".to_owned(), other.unwrap_or_default())]),
        };
        Self {
            structured,
            text: text.into(),
            links: Vec::new(),
            beside: JsonObject::new(),
            error: None,
        }
    }

    /// An answer whose text is the structured form itself.
    pub(super) fn plain(value: &impl Serialize) -> Self {
        let mut answer = Self::new(value, "");
        answer.text = serde_json::to_string_pretty(&answer.structured).unwrap_or_default();
        answer
    }

    /// Marks the answer as a failure.
    pub(super) fn with_error(mut self, error: UserError) -> Self {
        self.error = Some(error);
        self
    }

    /// Adds a link, such as one to the rest of the answer.
    pub(super) fn with_link(mut self, link: ContentBlock) -> Self {
        self.links.push(link);
        self
    }

    /// Sets the `_meta` of the text block.
    pub(super) fn with_beside(mut self, beside: JsonObject) -> Self {
        self.beside = beside;
        self
    }

    /// Adds a warning.
    pub(super) fn warn(&mut self, warning: &str) {
        let warnings = self.structured.entry("warnings").or_insert_with(|| json!([]));
        if let Value::Array(warnings) = warnings {
            warnings.push(warning.into());
        }
        self.text += &format!("\n[warning: {warning}]");
    }

    /// Says that the call repeats an earlier one and is answered with its turn.
    pub(super) fn mark_joined(&mut self) {
        self.structured.insert("joined".to_owned(), true.into());
        self.text += &format!("\n[{JOINED}]");
    }

    /// The result, with a hint for clients that would cut it at less than `characters`. Next steps name, and
    /// links lead to, only what is offered.
    pub(super) fn into_result(
        self,
        characters: usize,
        with_links: bool,
        offer: &Offer,
    ) -> CallToolResult {
        let Self { mut structured, mut text, links, beside, error } = self;
        let is_error = error.is_some();
        if let Some(mut error) = error {
            error.next = offer.only(&error.next).into_owned();
            let said = if text.is_empty() { String::new() } else { format!("\n\n{text}") };
            text = format!("{} {}{said}", error.message, error.next);
            structured.insert("code".to_owned(), error.code.into());
            structured.insert("message".to_owned(), error.message.into());
            structured.insert("next".to_owned(), error.next.into());
            let again = error.retry_after_seconds.map(Value::from);
            structured.extend(again.map(|again| ("retryAfterSeconds".to_owned(), again)));
        }
        let mut text = TextContent::new(text);
        text.meta = Some(beside).filter(|beside| !beside.is_empty()).map(MetaObject);
        let mut content = vec![ContentBlock::Text(text)];
        content.extend(
            links.into_iter().filter(|link| with_links && resources::may_link(link, offer)),
        );
        let mut result = CallToolResult::success(content);
        result.meta = Some(size_hint(characters));
        result.structured_content = Some(Value::Object(structured));
        result.is_error = Some(is_error);
        result
    }
}

impl From<UserError> for Answer {
    fn from(error: UserError) -> Self {
        let error = Some(error);
        Self {
            structured: JsonObject::new(),
            text: String::new(),
            links: Vec::new(),
            beside: JsonObject::new(),
            error,
        }
    }
}

/// The largest size of a result. It counts both forms of the answer, as the client that reads it does.
pub(super) fn size_hint(characters: usize) -> MetaObject {
    /// Everything but the answer itself.
    const REST: usize = 10_000;
    let size = characters.saturating_mul(2).saturating_add(REST);
    MetaObject(JsonObject::from_iter([("anthropic/maxResultSizeChars".to_owned(), size.into())]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_complete_in_both_forms() {
        let error = UserError::new("c", "It broke.", "Mend it.");
        let result = Answer::new(&json!({"sessionId": "s"}), "half").with_error(error).into_result(
            10,
            true,
            &Offer::default(),
        );
        let structured = result.structured_content.unwrap();
        assert_eq!(
            structured,
            json!({"sessionId": "s", "code": "c", "message": "It broke.", "next": "Mend it."})
        );
        let text = serde_json::to_value(&result.content).unwrap()[0]["text"].clone();
        assert_eq!(text, "It broke. Mend it.\n\nhalf");
    }
}
