//! Asks the fields of an elicitation form line by line. Knows nothing of where the answers go.

use std::io::{BufRead, Write};

use serde_json::{Map, Value, json};

/// Asks for every field of a form. An empty or invalid line declines the form.
pub(super) fn ask(params: &Value, mut input: impl BufRead, mut out: impl Write) -> Value {
    let message = params.get("message").and_then(Value::as_str).unwrap_or_default();
    let mut content = Map::new();
    let asked = write!(out, "\n{message}\n").and_then(|()| {
        let fields = params.pointer("/requestedSchema/properties").and_then(Value::as_object);
        for (name, field) in fields.into_iter().flatten() {
            match question(field, &mut input, &mut out)? {
                Some(value) => content.insert(name.clone(), value),
                None => return Ok(false),
            };
        }
        Ok(true)
    });
    match asked {
        Ok(true) => json!({"action": "accept", "content": content}),
        Ok(false) => json!({"action": "decline"}),
        Err(_) => json!({"action": "cancel"}),
    }
}

/// Asks for one field. `None` if the line is empty or not a valid value.
fn question(
    field: &Value,
    input: &mut impl BufRead,
    out: &mut impl Write,
) -> std::io::Result<Option<Value>> {
    let text = |key: &str| field.get(key).and_then(Value::as_str);
    let list = |key: &str| field.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    let (words, names) = (list("enum"), list("enumNames"));
    for (number, word) in words.iter().enumerate() {
        let name = names.get(number).unwrap_or(word).as_str().unwrap_or_default();
        writeln!(out, "  {}. {name}", number + 1)?;
    }
    let title = text("title").or_else(|| text("description")).unwrap_or("Answer");
    let kind = text("type").unwrap_or_default();
    let hint = match (kind, words.len()) {
        (_, 1..) => format!(" [1-{}]", words.len()),
        ("boolean", _) => " [y/n]".to_owned(),
        _ => String::new(),
    };
    write!(out, "{title}{hint}: ")?;
    out.flush()?;
    let mut line = String::new();
    input.read_line(&mut line)?;
    let line = line.trim();
    if line.is_empty() {
        return Ok(None);
    }
    if !words.is_empty() {
        let by_number =
            line.parse::<usize>().ok().and_then(|number| words.get(number.checked_sub(1)?));
        let by_name = || words.iter().find(|word| word.as_str() == Some(line));
        return Ok(by_number.or_else(by_name).cloned());
    }
    Ok(match kind {
        "boolean" => match line.to_lowercase().as_str() {
            "y" | "yes" | "true" => Some(true.into()),
            "n" | "no" | "false" => Some(false.into()),
            _ => None,
        },
        "number" | "integer" => {
            serde_json::from_str::<serde_json::Number>(line).ok().map(Value::Number)
        }
        _ => Some(line.into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(schema: &Value, typed: &str) -> (Value, String) {
        let params = json!({"message": "Codex asks", "requestedSchema": {"properties": schema}});
        let mut out = Vec::new();
        let answer = ask(&params, typed.as_bytes(), &mut out);
        (answer, String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_choice_is_made_by_number_or_word() {
        let schema = json!({"decision": {"title": "Decision", "enum": ["accept", "decline"], "enumNames": ["Yes", "No"]}});
        let (answer, shown) = asked(&schema, "1\n");
        assert_eq!(answer, json!({"action": "accept", "content": {"decision": "accept"}}));
        assert!(shown.contains("Codex asks\n  1. Yes\n  2. No\nDecision [1-2]: "), "{shown}");
        assert_eq!(asked(&schema, "decline\n").0["content"]["decision"], "decline");
        for odd in ["", "\n", "3\n", "0\n", "perhaps\n"] {
            assert_eq!(asked(&schema, odd).0, json!({"action": "decline"}), "{odd:?}");
        }
    }

    #[test]
    fn other_fields_are_typed() {
        let schema =
            json!({"a": {"type": "boolean"}, "b": {"type": "integer"}, "c": {"type": "string"}});
        let (answer, _) = asked(&schema, "yes\n7\nwhat I want\n");
        assert_eq!(answer["content"], json!({"a": true, "b": 7, "c": "what I want"}));
    }
}
