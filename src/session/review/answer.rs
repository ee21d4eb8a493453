//! The answer of a review: its schema, and how it is read.

use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{ChangedLines, Finding, Severity, Verdict};

/// A review that was read.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::session) struct Review {
    pub(in crate::session) verdict: Verdict,
    pub(in crate::session) findings: Vec<Finding>,
    /// The whole of it, for people.
    pub(in crate::session) text: String,
    pub(in crate::session) warnings: Vec<String>,
}

/// The answer is no complete review.
#[derive(Debug, thiserror::Error)]
#[error("the model's answer is not a complete review")]
pub(in crate::session) struct Unreadable(#[source] serde_json::Error);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    verdict: Verdict,
    summary: String,
    findings: Vec<Found>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Found {
    title: String,
    severity: Severity,
    confidence: f64,
    file: Option<String>,
    line_start: Value,
    line_end: Value,
    body: String,
    recommendation: String,
}

/// The schema of the answer, as strict as providers demand it.
pub(in crate::session) fn schema() -> Value {
    let text = json!({"type": "string"});
    let line = json!({"type": ["integer", "null"]});
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["verdict", "summary", "findings"],
        "properties": {
            "verdict": {"type": "string", "enum": ["approve", "needs-attention"]},
            "summary": text,
            "findings": {
                "type": "array",
                "items": {
                    "type": "object",
                    "additionalProperties": false,
                    "required": ["title", "severity", "confidence", "file", "lineStart", "lineEnd",
                        "body", "recommendation"],
                    "properties": {
                        "title": text,
                        "severity": {"type": "string", "enum": ["critical", "high", "medium", "low"]},
                        "confidence": {"type": "number"},
                        "file": {"type": ["string", "null"]},
                        "lineStart": line,
                        "lineEnd": line,
                        "body": text,
                        "recommendation": text,
                    },
                },
            },
        },
    })
}

/// Reads an answer. Findings come worst first; those outside of `changed`, if there is a diff, are marked.
///
/// # Errors
/// [`Unreadable`] if it does not have the form that was asked for: it was cut off, or is something else.
pub(in crate::session) fn read(
    answer: &str,
    directory: &Path,
    changed: Option<&ChangedLines>,
) -> Result<Review, Unreadable> {
    let answer: Answer = serde_json::from_str(unfenced(answer)).map_err(Unreadable)?;
    let placed = |found| placed(found, directory, changed);
    let mut findings: Vec<Finding> = answer.findings.into_iter().map(placed).collect();
    findings.sort_by_key(|finding| finding.severity);
    let mut warnings = Vec::new();
    let outside = findings.iter().filter(|finding| finding.outside_diff).count();
    if outside > 0 {
        let all = findings.len();
        let is = if outside == 1 { "is" } else { "are" };
        warnings.push(format!(
            "{outside} of {all} findings {is} about lines that these changes do not touch (outsideDiff)."
        ));
    }
    let is_bad = |finding: &Finding| finding.severity <= Some(Severity::High);
    if answer.verdict == Verdict::Approve && findings.iter().any(is_bad) {
        warnings.push(
            "The model approves although it found something of severity high or critical."
                .to_owned(),
        );
    }
    let text = in_words(answer.verdict, &answer.summary, &findings);
    Ok(Review { verdict: answer.verdict, findings, text, warnings })
}

/// The JSON without the fence that a model may put around it where Codex does not enforce the schema.
fn unfenced(answer: &str) -> &str {
    let answer = answer.trim();
    let inside = answer.strip_prefix("```json").or_else(|| answer.strip_prefix("```"));
    inside.and_then(|inside| inside.strip_suffix("```")).unwrap_or(answer).trim()
}

fn placed(found: Found, directory: &Path, changed: Option<&ChangedLines>) -> Finding {
    let Found { title, severity, confidence, body, recommendation, .. } = found;
    let named = found.file.filter(|file| !file.is_empty());
    let in_diff = named.as_deref().and_then(|file| changed?.file(directory, file));
    let (mut start, mut end) = (line(&found.line_start), line(&found.line_end));
    if start > end && end.is_some() {
        (start, end) = (end, start);
    }
    let touched =
        |lines: &ChangedLines| in_diff.is_some_and(|file| lines.touches(file, start, end));
    Finding {
        title,
        severity: Some(severity),
        confidence: share(confidence),
        outside_diff: changed.is_some_and(|lines| !touched(lines)),
        file: in_diff.map(str::to_owned).or(named),
        line_start: start,
        line_end: end.or(start),
        body,
        recommendation,
    }
}

/// A line, if it can be one: a number that cannot does not undo the rest of a review.
fn line(value: &Value) -> Option<u32> {
    let whole = value.as_u64().or_else(|| value.to_string().strip_suffix(".0")?.parse().ok());
    whole.and_then(|line| u32::try_from(line).ok()).filter(|line| *line > 0)
}

/// A confidence from 0 to 1; some models say percent.
fn share(confidence: f64) -> Option<f64> {
    match confidence {
        share if (0.0..=1.0).contains(&share) => Some(share),
        percent if (1.0..=100.0).contains(&percent) => Some(percent / 100.0),
        _ => None,
    }
}

fn in_words(verdict: Verdict, summary: &str, findings: &[Finding]) -> String {
    let is_approved = verdict == Verdict::Approve;
    let verdict = match verdict {
        Verdict::Approve => "Verdict: approve.",
        Verdict::NeedsAttention => "Verdict: needs attention.",
    };
    let mut paragraphs = vec![format!("{verdict} {}", summary.trim())];
    if findings.is_empty() && is_approved {
        paragraphs.push("Nothing was found.".to_owned());
    }
    for (number, finding) in (1..).zip(findings) {
        let severity =
            finding.severity.map_or_else(String::new, |it| format!("[{}] ", it.as_str()));
        let place = finding.place().map_or_else(String::new, |place| format!(" — {place}"));
        let outside = if finding.outside_diff { " (outside the diff)" } else { "" };
        let indented = |text: &str| text.trim().replace('\n', "\n   ");
        let mut paragraph = format!(
            "{number}. {severity}{}{place}{outside}\n   {}",
            finding.title,
            indented(&finding.body)
        );
        if !finding.recommendation.trim().is_empty() {
            paragraph += &format!("\n   Recommendation: {}", indented(&finding.recommendation));
        }
        paragraphs.push(paragraph);
    }
    paragraphs.join("\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(severity: &str, file: &str, line: u32) -> Value {
        json!({"title": format!("T{line}"), "severity": severity, "confidence": 0.5, "file": file,
            "lineStart": line, "lineEnd": null, "body": "B\nb", "recommendation": "R"})
    }

    fn read_all(answer: &Value) -> Review {
        let diff = "diff --git a/a b/a\n--- a/a\n+++ b/a\n@@ -1 +1,2 @@\n-x\n+y\n+z\n";
        let lines = ChangedLines::read(Path::new("/r"), diff);
        read(&answer.to_string(), Path::new("/r"), Some(&lines)).unwrap()
    }

    #[test]
    fn an_answer_becomes_findings_and_words() {
        let findings = [found("low", "/r/a", 9), found("critical", "a", 2), found("high", "b", 1)];
        let review =
            read_all(&json!({"verdict": "needs-attention", "summary": "S.", "findings": findings}));
        let short: Vec<_> = review
            .findings
            .iter()
            .map(|it| (it.file.as_deref().unwrap(), it.line_end.unwrap(), it.outside_diff))
            .collect();
        assert_eq!(short, [("a", 2, false), ("b", 1, true), ("a", 9, true)]);
        assert_eq!(review.warnings.len(), 1, "{:?}", review.warnings);
        let expected = "Verdict: needs attention. S.\n\n1. [critical] T2 — a:2\n   B\n   b\n   Recommendation: R";
        assert!(review.text.starts_with(expected), "{}", review.text);
        assert!(review.text.contains("2. [high] T1 — b:1 (outside the diff)"), "{}", review.text);
    }

    #[test]
    fn an_approval_and_a_contradiction_are_said() {
        let review = read_all(&json!({"verdict": "approve", "summary": "", "findings": []}));
        assert!(review.text.contains("Nothing was found") && review.warnings.is_empty());
        let odd = read_all(
            &json!({"verdict": "approve", "summary": "", "findings": [found("high", "a", 1)]}),
        );
        assert!(odd.warnings[0].contains("approves although"));
    }

    #[test]
    fn odd_numbers_undo_nothing() {
        let mut odd = found("high", "a", 2);
        for (start, end, confidence, expected) in [
            (json!(-1), json!(null), 85.0, (None, None, Some(0.85))),
            (json!(3.0), json!(2), -1.0, (Some(2), Some(3), None)),
            (json!(4_294_967_296_u64), json!(2), 0.5, (None, Some(2), Some(0.5))),
        ] {
            (odd["lineStart"], odd["lineEnd"]) = (start, end);
            odd["confidence"] = confidence.into();
            let review =
                read_all(&json!({"verdict": "needs-attention", "summary": "", "findings": [odd]}));
            let it = &review.findings[0];
            assert_eq!((it.line_start, it.line_end, it.confidence), expected);
        }
    }

    #[test]
    fn an_incomplete_answer_is_no_review() {
        let whole =
            json!({"verdict": "approve", "summary": "S", "findings": [found("low", "a", 1)]});
        let whole = whole.to_string();
        let read = |text: &str| read(text, Path::new("/r"), None);
        assert!(read(&format!("```json\n{whole}\n```")).is_ok());
        for end in 0..whole.len() {
            assert!(read(&whole[..end]).is_err(), "{}", &whole[..end]);
        }
        for other in
            ["Looks good to me.", "{}", r#"{"verdict": "fine", "summary": "", "findings": []}"#]
        {
            assert!(read(other).is_err(), "{other}");
        }
    }

    #[test]
    fn the_schema_has_what_is_read() {
        let answer =
            json!({"verdict": "approve", "summary": "", "findings": [found("low", "a", 1)]});
        let (_, wrong) = crate::session::output::parse(&schema(), &answer.to_string());
        assert_eq!(wrong, None);
    }
}
