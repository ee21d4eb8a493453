//! Reading what a review found. Pure.
//!
//! Codex asks the model for JSON of a given shape. Some versions pass that JSON on; older ones turn each finding into
//! text like `- [P1] Title — /file:3-5`, with the body indented below.

use serde::{Deserialize, Serialize};

/// One thing a review found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// What is wrong, in a line.
    pub title: String,
    /// From 0 (drop everything) to 3 (nice to have), if the model gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<u8>,
    /// The file it is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The first line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_line: Option<u32>,
    /// The last line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_line: Option<u32>,
    /// Why it is wrong.
    pub body: String,
}

#[derive(Deserialize)]
struct Verdict {
    findings: Vec<Found>,
    #[serde(default)]
    overall_correctness: String,
    #[serde(default)]
    overall_explanation: String,
}

#[derive(Deserialize)]
struct Found {
    title: String,
    #[serde(default)]
    body: String,
    #[serde(default)]
    priority: Option<u8>,
    #[serde(default)]
    code_location: Option<Location>,
}

#[derive(Deserialize)]
struct Location {
    absolute_file_path: String,
    line_range: Range,
}

#[derive(Deserialize)]
struct Range {
    start: u32,
    end: u32,
}

/// Reads a review. Returns its text for people, and its findings. Text in an unknown form is returned unchanged.
pub(super) fn read(text: &str) -> (String, Vec<Finding>) {
    match serde_json::from_str::<Verdict>(text.trim()) {
        Ok(verdict) => {
            let findings: Vec<_> = verdict.findings.into_iter().map(Finding::from).collect();
            let summary = [verdict.overall_explanation, verdict.overall_correctness];
            (in_words(&summary, &findings), findings)
        }
        Err(_) => (text.to_owned(), in_text(text)),
    }
}

fn in_words(summary: &[String], findings: &[Finding]) -> String {
    let mut paragraphs: Vec<String> =
        summary.iter().filter(|text| !text.is_empty()).cloned().collect();
    if findings.is_empty() {
        paragraphs.push("Nothing was found.".to_owned());
    }
    for (number, finding) in (1..).zip(findings) {
        let priority = finding.priority.map_or_else(String::new, |p| format!("[P{p}] "));
        let place = finding.place().map_or_else(String::new, |place| format!(" — {place}"));
        let body = finding.body.trim().replace('\n', "\n   ");
        paragraphs.push(format!("{number}. {priority}{}{place}\n   {body}", finding.title));
    }
    paragraphs.join("\n\n")
}

fn in_text(text: &str) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    for line in text.lines() {
        if let Some((title, place)) =
            line.strip_prefix("- ").and_then(|rest| rest.rsplit_once(" — "))
            && let Some((file, start, end)) = location(place)
        {
            let (title, priority) = titled(title);
            let (file, body) = (Some(file.to_owned()), String::new());
            let (start_line, end_line) = (Some(start), Some(end));
            findings.push(Finding { title, priority, file, start_line, end_line, body });
        } else if let (Some(finding), Some(more)) = (findings.last_mut(), line.strip_prefix("  ")) {
            if !finding.body.is_empty() {
                finding.body.push('\n');
            }
            finding.body.push_str(more);
        }
    }
    findings
}

/// Parses `/file:3-5`.
fn location(place: &str) -> Option<(&str, u32, u32)> {
    let (file, lines) = place.trim().rsplit_once(':')?;
    let (start, end) = lines.split_once('-').unwrap_or((lines, lines));
    Some((file, start.parse().ok()?, end.parse().ok()?))
}

/// Splits a title like `[P1] Title` into title and priority.
fn titled(title: &str) -> (String, Option<u8>) {
    let priority = title.strip_prefix("[P").and_then(|rest| {
        let (number, rest) = rest.split_once(']')?;
        Some((rest.trim().to_owned(), number.parse().ok()?))
    });
    priority.map_or_else(|| (title.to_owned(), None), |(title, number)| (title, Some(number)))
}

impl Finding {
    fn place(&self) -> Option<String> {
        let file = self.file.as_ref()?;
        Some(match (self.start_line, self.end_line) {
            (Some(start), Some(end)) if start != end => format!("{file}:{start}-{end}"),
            (Some(start), _) => format!("{file}:{start}"),
            _ => file.clone(),
        })
    }
}

impl From<Found> for Finding {
    fn from(found: Found) -> Self {
        let (title, in_title) = titled(&found.title);
        let place = found.code_location;
        Self {
            title,
            priority: found.priority.or(in_title),
            start_line: place.as_ref().map(|place| place.line_range.start),
            end_line: place.as_ref().map(|place| place.line_range.end),
            file: place.map(|place| place.absolute_file_path),
            body: found.body,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_a_review_say_the_same() {
        let json = r#"{"findings": [{"title": "[P1] Off by one", "body": "It counts\nwrong.",
            "code_location": {"absolute_file_path": "/r/a.rs", "line_range": {"start": 2, "end": 3}}}],
            "overall_correctness": "patch is incorrect", "overall_explanation": "Because.", "new": 1}"#;
        let text =
            "Because.\n\nReview comment:\n\n- [P1] Off by one — /r/a.rs:2-3\n  It counts\n  wrong.";
        let (words, findings) = read(json);
        assert_eq!(read(text).1, findings);
        assert_eq!((findings[0].priority, findings[0].end_line), (Some(1), Some(3)));
        assert_eq!(
            words,
            "Because.\n\npatch is incorrect\n\n1. [P1] Off by one — /r/a.rs:2-3\n   It counts\n   wrong."
        );
    }

    #[test]
    fn nothing_found_and_nothing_known_are_said() {
        let (words, findings) =
            read(r#"{"findings": [], "overall_correctness": "patch is correct"}"#);
        assert!(words.contains("Nothing was found") && findings.is_empty());
        assert_eq!(read("Looks good to me."), ("Looks good to me.".to_owned(), vec![]));
    }
}
