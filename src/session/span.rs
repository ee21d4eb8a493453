//! Lengths of time as operators write them.

use std::{borrow::Cow, fmt, str::FromStr, time::Duration};

use jiff::SignedDuration;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A length of time, written like `24h`, `5m` or `1h 30m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "String")]
pub struct Span(pub Duration);

/// What may be written where a length of time belongs: a number alone says too little.
#[derive(Deserialize)]
#[serde(untagged, expecting = "it must be a length of time like `24h`, `5m` or `1h 30m`")]
enum Written {
    Text(String),
    Number(f64),
}

/// The text is not a length of time.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a length of time like `24h`, `5m` or `1h 30m`")]
pub struct InvalidSpan(String);

impl Span {
    /// So many seconds.
    pub const fn seconds(count: u64) -> Self {
        Self(Duration::from_secs(count))
    }

    /// So many minutes.
    pub const fn minutes(count: u64) -> Self {
        Self(Duration::from_mins(count))
    }
}

impl JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "examples": ["24h", "5m", "1h 30m"]})
    }

    fn inline_schema() -> bool {
        true
    }
}

impl FromStr for Span {
    type Err = InvalidSpan;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed: Result<SignedDuration, _> = text.parse();
        let duration = parsed.ok().and_then(|span| Duration::try_from(span).ok());
        duration.map(Self).ok_or_else(|| InvalidSpan(text.to_owned()))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match SignedDuration::try_from(self.0) {
            Ok(span) => write!(f, "{span:#}"),
            Err(_) => write!(f, "{}s", self.0.as_secs()),
        }
    }
}

impl TryFrom<Written> for Span {
    type Error = InvalidSpan;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        match written {
            Written::Text(text) => text.parse(),
            Written::Number(number) => Err(InvalidSpan(number.to_string())),
        }
    }
}

impl From<Span> for String {
    fn from(span: Span) -> Self {
        span.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_write_spans() {
        let seconds = |text: &str| text.parse::<Span>().unwrap().0.as_secs();
        assert_eq!((seconds("24h"), seconds("1h 30m"), seconds("90s")), (86_400, 5_400, 90));
        for bad in ["", "24", "-5m", "soon"] {
            assert!(bad.parse::<Span>().is_err(), "{bad}");
        }
        let span: Span = "24h".parse().unwrap();
        assert_eq!(span.to_string().parse::<Span>().unwrap(), span);
    }
}
