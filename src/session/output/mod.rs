//! Answers with a JSON schema: the schema is checked before the turn, the answer after it.
//!
//! The schema comes from a caller and the answer from a model, so what either can cost is bounded: a schema in bytes,
//! patterns and references before anything is made of it ([`schema`]), checking an answer in steps ([`mod@check`]). No library
//! has such a bound, and a thread that computes cannot be stopped: two kilobytes of doubled references made one compute
//! for ever. Both are done off the runtime's thread.

mod check;
mod keywords;
mod numbers;
mod schema;

use serde_json::Value;

use self::{
    check::{Fault, check},
    schema::Schema,
};
use super::SessionError;
use crate::system::compute;

/// Checks a schema. Fails with [`SessionError::Schema`] if it is not one that answers can be checked against.
pub(super) async fn check_schema(schema: &Value) -> Result<(), SessionError> {
    let invalid = |reason: String| SessionError::Schema { reason };
    schema::check_size(schema).map_err(invalid)?;
    let schema = schema.clone();
    let checked = compute(move || Schema::new(&schema).map(drop)).await;
    checked.map_err(|_| SessionError::ShuttingDown)?.map_err(invalid)
}

/// Parses the answer as JSON. Returns the value, if it is JSON, and a sentence on what is wrong with it, if anything.
pub(super) fn parse(schema: &Value, answer: &str) -> (Option<Value>, Option<String>) {
    let value: Value = match serde_json::from_str(answer.trim()) {
        Ok(value) => value,
        Err(error) => return (None, Some(format!("The answer is not JSON: {error}."))),
    };
    let Ok(compiled) = Schema::new(schema) else { return (Some(value), None) };
    let wrong = match check(&compiled, &value) {
        Ok(()) => None,
        Err(Fault::Wrong { place, reason }) => {
            let place =
                if place.is_empty() { "its root".to_owned() } else { format!("`{place}`") };
            Some(format!("The answer does not fit the schema: at {place}, {reason}."))
        }
        Err(Fault::TooMuch) => Some(
            "The answer was not checked against the schema, because that takes too many steps; use a simpler schema."
                .to_owned(),
        ),
    };
    (Some(value), wrong)
}

#[cfg(test)]
mod tests;
