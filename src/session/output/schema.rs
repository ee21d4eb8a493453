//! A schema that answers can be checked against: small enough, of a form that is known, its references within itself.

use std::collections::{HashMap, HashSet};

use regex::{Regex, RegexBuilder};
use serde_json::{Map, Value};

use super::keywords::{self, Form};

/// The longest schema, in bytes of JSON.
const LONGEST: usize = 64 * 1024;

/// How many patterns it may have.
const PATTERNS: usize = 64;

/// How long each may be.
const LONGEST_PATTERN: usize = 512;

/// How big a pattern may become that is ready for use, in bytes; a few characters can ask for gigabytes.
const BIGGEST_PATTERN: usize = 1024 * 1024;

/// How many references it may have.
const REFERENCES: usize = 512;

/// A schema, ready for use.
pub(super) struct Schema<'a> {
    pub(super) root: &'a Value,
    patterns: HashMap<&'a str, Regex>,
}

/// Counts what is written, and stops when it is too much.
struct Counted(usize);

impl std::io::Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        if self.0 > LONGEST {
            Err(std::io::ErrorKind::FileTooLarge.into())
        } else {
            Ok(bytes.len())
        }
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Fails, with the reason, if the schema is no object or too long.
pub(super) fn check_size(schema: &Value) -> Result<(), String> {
    if !schema.is_object() {
        return Err("it is not an object".to_owned());
    }
    let written = serde_json::to_writer(Counted(0), schema);
    written.map_err(|_| format!("it is longer than {LONGEST} bytes"))
}

impl<'a> Schema<'a> {
    /// Looks at every part of a schema. Fails with the reason if answers cannot be checked against it.
    pub(super) fn new(root: &'a Value) -> Result<Self, String> {
        check_size(root)?;
        let mut schema = Self { root, patterns: HashMap::new() };
        let (mut seen, mut references) = (HashSet::new(), 0);
        // No recursion: a chain of references can be long.
        let mut next = vec![root];
        while let Some(part) = next.pop() {
            if !seen.insert(std::ptr::from_ref(part)) {
                continue;
            }
            match part {
                Value::Bool(_) => {}
                Value::Object(object) => {
                    for (keyword, value) in object {
                        schema.keyword(keyword, value, &mut next, &mut references)?;
                    }
                }
                other => {
                    return Err(format!(
                        "`{:.40}` stands where a schema belongs",
                        other.to_string()
                    ));
                }
            }
        }
        Ok(schema)
    }

    fn keyword(
        &mut self,
        keyword: &str,
        value: &'a Value,
        next: &mut Vec<&'a Value>,
        references: &mut usize,
    ) -> Result<(), String> {
        let Some(form) = keywords::form(keyword) else { return Ok(()) };
        let wrong = || Err(format!("`{keyword}` is not {}", form.in_words()));
        match (form, value) {
            (Form::Refused, _) => {
                return Err(format!("`{keyword}` is not supported here; say it without"));
            }
            (Form::Schema | Form::SchemaOrList, Value::Object(_) | Value::Bool(_)) => {
                next.push(value);
            }
            (Form::Schemas | Form::SchemaOrList, Value::Array(all)) => next.extend(all),
            (Form::SchemasByName, Value::Object(all)) => next.extend(all.values()),
            (Form::SchemasByPattern, Value::Object(all)) => {
                for pattern in all.keys() {
                    self.pattern(pattern)?;
                }
                next.extend(all.values());
            }
            (Form::Pattern, Value::String(pattern)) => self.pattern(pattern)?,
            (Form::Reference, Value::String(reference)) => {
                *references += 1;
                if *references > REFERENCES {
                    return Err(format!("it has more than {REFERENCES} references"));
                }
                let found = self.referred(reference);
                next.push(found.ok_or_else(|| {
                    format!(
                        "`{reference}` is no reference to a place in it, such as `#/$defs/item`"
                    )
                })?);
            }
            (Form::Type, value) if keywords::is_type(value) => {}
            (Form::Number, Value::Number(_))
            | (Form::Flag, Value::Bool(_))
            | (Form::List, Value::Array(_)) => {}
            (Form::Count, value) if value.as_u64().is_some() => {}
            (Form::Above0, value) if value.as_f64().is_some_and(|number| number > 0.0) => {}
            (Form::Names, Value::Array(all)) if all.iter().all(Value::is_string) => {}
            (Form::NamesByName, Value::Object(all)) => {
                let is_names = |value: &Value| {
                    value.as_array().is_some_and(|all| all.iter().all(Value::is_string))
                };
                if !all.values().all(is_names) {
                    return wrong();
                }
            }
            _ => return wrong(),
        }
        Ok(())
    }

    fn pattern(&mut self, pattern: &'a str) -> Result<(), String> {
        if self.patterns.contains_key(pattern) {
            return Ok(());
        }
        if self.patterns.len() == PATTERNS {
            return Err(format!("it has more than {PATTERNS} patterns"));
        }
        if pattern.len() > LONGEST_PATTERN {
            return Err(format!("a pattern in it is longer than {LONGEST_PATTERN} bytes"));
        }
        // As every engine that takes linear time, this one has no look-around and no back-references.
        let regex = RegexBuilder::new(&as_in_schemas(pattern))
            .size_limit(BIGGEST_PATTERN)
            .nest_limit(50)
            .build();
        let regex = regex.map_err(|error| {
            let error = error.to_string();
            let reason = error.lines().last().unwrap_or("it is not valid").trim();
            format!(
                "its pattern `{pattern}` cannot be used: {}",
                reason.trim_start_matches("error: ")
            )
        })?;
        self.patterns.insert(pattern, regex);
        Ok(())
    }

    /// Whether a text matches a pattern of the schema.
    pub(super) fn matches(&self, pattern: &str, text: &str) -> bool {
        self.patterns.get(pattern).is_none_or(|regex| regex.is_match(text))
    }

    /// The part of the schema that a reference names.
    pub(super) fn referred(&self, reference: &str) -> Option<&'a Value> {
        let pointer = reference.strip_prefix('#')?;
        let pointer = percent_decoded(pointer)?;
        if pointer.is_empty() || pointer.starts_with('/') {
            self.root.pointer(&pointer)
        } else {
            None
        }
    }
}

/// What a part of the schema says, if it is not simply true or false.
pub(super) fn object(part: &Value) -> Option<&Map<String, Value>> {
    part.as_object()
}

/// A pattern as JSON Schema means it: digits and letters of words are those of ASCII, which also are small sets.
fn as_in_schemas(pattern: &str) -> String {
    let mut meant = String::with_capacity(pattern.len());
    let mut rest = pattern.chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            meant.push(c);
            continue;
        }
        match rest.next() {
            Some('d') => meant += "[0-9]",
            Some('D') => meant += "[^0-9]",
            Some('w') => meant += "[0-9A-Za-z_]",
            Some('W') => meant += "[^0-9A-Za-z_]",
            Some(other) => meant.extend(['\\', other]),
            None => meant.push('\\'),
        }
    }
    meant
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let byte = if byte == b'%' {
            let digits = [rest.next()?, rest.next()?];
            u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
        } else {
            byte
        };
        bytes.push(byte);
    }
    String::from_utf8(bytes).ok()
}
