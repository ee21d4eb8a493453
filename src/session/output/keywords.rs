//! The keywords of JSON Schema (drafts 7 to 2020-12) that are known, and what the value of each looks like. What is not
//! known says nothing about an answer, as the standard wants it.

use serde_json::Value;

/// What the value of a keyword is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// A schema.
    Schema,
    /// One, or one for each of the first items (as drafts up to 2019-09 have it).
    SchemaOrList,
    /// A list of schemas.
    Schemas,
    /// Schemas by names.
    SchemasByName,
    /// Schemas by patterns.
    SchemasByPattern,
    /// The name of a type, or several.
    Type,
    /// A number.
    Number,
    /// A number above 0.
    Above0,
    /// A whole number of 0 or more.
    Count,
    /// True or false.
    Flag,
    /// A list of any values.
    List,
    /// A list of texts.
    Names,
    /// Lists of texts by names.
    NamesByName,
    /// A regular expression.
    Pattern,
    /// A reference.
    Reference,
    /// What is known and not supported: to ignore it would pass what does not fit.
    Refused,
}

/// The types of JSON.
const TYPES: [&str; 7] = ["array", "boolean", "integer", "null", "number", "object", "string"];

/// What the value of a keyword is. `None` if it says nothing about an answer.
pub(super) fn form(keyword: &str) -> Option<Form> {
    Some(match keyword {
        "additionalItems"
        | "additionalProperties"
        | "contains"
        | "else"
        | "if"
        | "not"
        | "propertyNames"
        | "then" => Form::Schema,
        "items" => Form::SchemaOrList,
        "allOf" | "anyOf" | "oneOf" | "prefixItems" => Form::Schemas,
        "$defs" | "definitions" | "dependentSchemas" | "properties" => Form::SchemasByName,
        "patternProperties" => Form::SchemasByPattern,
        "type" => Form::Type,
        "exclusiveMaximum" | "exclusiveMinimum" | "maximum" | "minimum" => Form::Number,
        "multipleOf" => Form::Above0,
        "maxContains" | "maxItems" | "maxLength" | "maxProperties" | "minContains" | "minItems"
        | "minLength" | "minProperties" => Form::Count,
        "uniqueItems" => Form::Flag,
        "enum" => Form::List,
        "required" => Form::Names,
        "dependentRequired" => Form::NamesByName,
        "pattern" => Form::Pattern,
        "$ref" => Form::Reference,
        "$dynamicRef"
        | "$recursiveRef"
        | "dependencies"
        | "unevaluatedItems"
        | "unevaluatedProperties" => Form::Refused,
        _ => return None,
    })
}

impl Form {
    pub(super) fn in_words(self) -> &'static str {
        match self {
            Self::Schema => "a schema",
            Self::SchemaOrList => "a schema or a list of them",
            Self::Schemas => "a list of schemas",
            Self::SchemasByName | Self::SchemasByPattern => "an object of schemas",
            Self::Type => {
                "one of array, boolean, integer, null, number, object and string, or a list of those"
            }
            Self::Number => "a number",
            Self::Above0 => "a number above 0",
            Self::Count => "a whole number of 0 or more",
            Self::Flag => "true or false",
            Self::List => "a list",
            Self::Names => "a list of texts",
            Self::NamesByName => "an object of lists of texts",
            Self::Pattern | Self::Reference => "a text",
            Self::Refused => "supported",
        }
    }
}

/// Whether a value names types.
pub(super) fn is_type(value: &Value) -> bool {
    let is_name = |value: &Value| value.as_str().is_some_and(|name| TYPES.contains(&name));
    is_name(value) || value.as_array().is_some_and(|all| all.iter().all(is_name))
}
