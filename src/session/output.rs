//! Answers with a JSON schema: the schema is checked before the turn, the answer after it.

use serde_json::Value;

use super::SessionError;

/// Compiles a schema. Fails with [`SessionError::Schema`] if it is not a valid one.
pub(super) fn compile(schema: &Value) -> Result<jsonschema::Validator, SessionError> {
    let invalid = |reason: String| SessionError::Schema { reason };
    if !schema.is_object() {
        return Err(invalid("it is not an object".to_owned()));
    }
    jsonschema::validator_for(schema).map_err(|error| invalid(error.to_string()))
}

/// Parses the answer as JSON. Returns the value, if it is JSON, and a sentence on what is wrong with it, if anything.
pub(super) fn parse(schema: &Value, answer: &str) -> (Option<Value>, Option<String>) {
    let value: Value = match serde_json::from_str(answer.trim()) {
        Ok(value) => value,
        Err(error) => return (None, Some(format!("The answer is not JSON: {error}."))),
    };
    let Ok(validator) = compile(schema) else { return (Some(value), None) };
    let wrong = validator.iter_errors(&value).next().map(|error| {
        let place = error.instance_path().to_string();
        let place = if place.is_empty() { "its root".to_owned() } else { format!("`{place}`") };
        format!("The answer does not fit the schema: at {place}, {error}.")
    });
    (Some(value), wrong)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_fits_and_what_does_not_is_said() {
        let schema =
            json!({"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}});
        assert_eq!(parse(&schema, " {\"n\": 3}\n"), (Some(json!({"n": 3})), None));
        let (value, wrong) = parse(&schema, "{\"n\": \"x\"}");
        assert!(value.is_some() && wrong.as_ref().unwrap().contains("`/n`"), "{wrong:?}");
        assert!(parse(&schema, "three").1.unwrap().contains("not JSON"));
        assert!(compile(&json!({"type": "thing"})).is_err());
        assert!(compile(&json!("object")).is_err());
    }
}
