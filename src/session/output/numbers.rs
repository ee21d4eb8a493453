//! Numbers of JSON: whole ones are compared exactly, others as floating point.

use std::cmp::Ordering;

use serde_json::{Number, Value};

/// How far a quotient of floating point may be from a whole number that it stands for.
const NEAR: f64 = 1e-9;

fn whole(number: &Number) -> Option<i128> {
    number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from))
}

fn float(number: &Number) -> f64 {
    number.as_f64().unwrap_or(f64::NAN)
}

/// Whether it is a whole number: `1.0` is one.
pub(super) fn is_whole(number: &Number) -> bool {
    whole(number).is_some() || float(number).fract() == 0.0
}

pub(super) fn compare(a: &Number, b: &Number) -> Option<Ordering> {
    match (whole(a), whole(b)) {
        (Some(a), Some(b)) => Some(a.cmp(&b)),
        _ => float(a).partial_cmp(&float(b)),
    }
}

/// Whether `a` is a multiple of `b`.
pub(super) fn is_multiple(a: &Number, b: &Number) -> bool {
    if let (Some(a), Some(b)) = (whole(a), whole(b)) {
        return b != 0 && a % b == 0;
    }
    let quotient = float(a) / float(b);
    (quotient - quotient.round()).abs() < NEAR
}

/// A text that is the same for equal values alone, whatever the order of their keys: `1` equals `1.0`.
pub(super) fn key(value: &Value) -> String {
    let mut text = String::new();
    write(value, &mut text);
    text
}

fn write(value: &Value, text: &mut String) {
    match value {
        Value::Number(number) => match whole(number) {
            Some(whole) => *text += &whole.to_string(),
            // One that is whole has no other form than that of a whole number.
            None if is_whole(number) && float(number).abs() < 1e18 => {
                *text += &format!("{:.0}", float(number));
            }
            None => *text += &number.to_string(),
        },
        Value::Array(items) => {
            text.push('[');
            for item in items {
                write(item, text);
                text.push(',');
            }
            text.push(']');
        }
        Value::Object(object) => {
            let mut entries: Vec<_> = object.iter().collect();
            entries.sort_by_key(|(name, _)| *name);
            text.push('{');
            for (name, value) in entries {
                *text += &Value::from(name.as_str()).to_string();
                text.push(':');
                write(value, text);
                text.push(',');
            }
            text.push('}');
        }
        other => *text += &other.to_string(),
    }
}
