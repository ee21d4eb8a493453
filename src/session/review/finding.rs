//! What a review came to, as it is recorded and as results carry it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

/// Whether the changes are fit to be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Verdict {
    /// They are.
    Approve,
    /// Something has to be looked at first.
    NeedsAttention,
}

/// How bad a finding is. Ordered from the worst.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, IntoStaticStr,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Severity {
    /// Data is lost, secrets leak, or nothing works.
    Critical,
    /// Users will meet it.
    High,
    /// It goes wrong in uncommon cases.
    Medium,
    /// It can wait.
    Low,
}

/// One thing that a review found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    // What is wrong, in a line.
    pub title: String,
    /// critical, high, medium or low
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub severity: Option<Severity>,
    // How sure the model is.
    /// 0 to 1
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    // From the top of the repository if it is one of those that have changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none", alias = "startLine")]
    pub line_start: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none", alias = "endLine")]
    pub line_end: Option<u32>,
    // Why it is wrong.
    pub body: String,
    // What to do about it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub recommendation: String,
    /// Whether it is about lines that the changes do not touch
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub outside_diff: bool,
}

impl Verdict {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl Severity {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl Finding {
    /// File and lines, as far as they are known: `src/a.rs:3-5`.
    pub(super) fn place(&self) -> Option<String> {
        let file = self.file.as_ref()?;
        Some(match (self.line_start, self.line_end) {
            (Some(start), Some(end)) if start != end => format!("{file}:{start}-{end}"),
            (Some(start), _) => format!("{file}:{start}"),
            _ => file.clone(),
        })
    }
}
