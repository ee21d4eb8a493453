//! Prints answers of tools for people. Knows nothing of where the text goes.

use std::{
    borrow::Cow,
    io::{self, Write},
};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use super::{client::ToolOutput, screen::Screen};

/// Prints the structured form.
pub(super) fn json(value: &Value, mut out: impl Write) -> io::Result<()> {
    writeln!(out, "{value:#}")
}

/// Prints the answer to `out` and everything about it to `err`.
pub(super) fn answer(
    output: &ToolOutput,
    mut out: impl Write,
    mut err: impl Write,
) -> io::Result<()> {
    let Some(response) = output.field("response") else {
        return if output.is_error { error(output, err) } else { writeln!(out, "{}", output.text) };
    };
    if !response.is_empty() {
        writeln!(out, "{response}")?;
    }
    out.flush()?;
    for warning in strings(output.structured.get("warnings")) {
        writeln!(err, "warning: {warning}")?;
    }
    if output.is_error {
        error(output, &mut err)?;
    } else if output.field("status") == Some("running") {
        writeln!(err, "the turn is still running; `wait` gets its answer")?;
    }
    let about = about(&output.structured);
    if about.is_empty() { Ok(()) } else { writeln!(err, "[{about}]") }
}

/// Prints what went wrong and the next step.
pub(super) fn error(output: &ToolOutput, mut err: impl Write) -> io::Result<()> {
    match (output.field("message"), output.field("next")) {
        (Some(message), Some(next)) => writeln!(err, "codex-mcp-server: {message} {next}"),
        _ => writeln!(err, "codex-mcp-server: {}", output.text),
    }
}

/// One line that names the session and thread of an answer, and what it cost.
fn about(fields: &Map<String, Value>) -> String {
    let text = |key: &str| fields.get(key).and_then(Value::as_str);
    let tokens = fields.get("usage").and_then(|usage| usage.get("totalTokens")?.as_u64());
    let took = fields.get("durationMs").and_then(Value::as_f64);
    let parts = [
        text("sessionId").map(|name| format!("session {name}")),
        text("threadId").map(|id| format!("thread {id}")),
        text("continuity").map(str::to_owned),
        text("model").map(str::to_owned),
        tokens.map(|count| format!("{count} tokens")),
        took.map(|took| format!("{:.1} s", took / 1000.0)),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

/// Prints sessions as a table, then a table of threads that are not sessions.
pub(super) fn sessions(listed: &Map<String, Value>, mut out: Screen<impl Write>) -> io::Result<()> {
    let rows = |key: &str, fields: &[&str], when: &str| -> Vec<Vec<String>> {
        let list = listed.get(key).and_then(Value::as_array);
        let row = |item: &Value| {
            let shown = |field: &&str| match item.get(*field) {
                Some(Value::String(text)) if *field == when => age(text, Timestamp::now()),
                Some(Value::String(text)) => one_line(text),
                Some(value) => value.to_string(),
                None => "-".to_owned(),
            };
            fields.iter().map(shown).collect()
        };
        list.into_iter().flatten().map(row).collect()
    };
    let fields = ["id", "status", "turnCount", "lastAccessedAt", "model", "workingDirectory"];
    let sessions = rows("sessions", &fields, "lastAccessedAt");
    if sessions.is_empty() {
        writeln!(out, "no sessions")?;
    } else {
        let titles = ["SESSION", "STATUS", "TURNS", "LAST USED", "MODEL", "DIRECTORY"];
        table(&titles, &sessions, &mut out)?;
    }
    let threads = rows("threads", &["threadId", "updatedAt", "source", "title"], "updatedAt");
    if !threads.is_empty() {
        writeln!(out)?;
        table(&["THREAD", "LAST USED", "BEGUN IN", "TITLE"], &threads, &mut out)?;
    }
    for warning in strings(listed.get("warnings")) {
        writeln!(out, "warning: {warning}")?;
    }
    if listed.contains_key("nextCursor") {
        writeln!(
            out,
            "there are more: --cursor {}",
            listed.get("nextCursor").unwrap_or(&Value::Null)
        )?;
    }
    Ok(())
}

/// Prints models as a table. A star marks the default model, and the default effort of each.
pub(super) fn models(listed: &Map<String, Value>, mut out: Screen<impl Write>) -> io::Result<()> {
    let models = listed.get("models").and_then(Value::as_array);
    let row = |model: &Value| {
        let text =
            |key: &str| model.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let starred = |text: &str, is_default: bool| {
            if is_default { format!("{text}*") } else { text.to_owned() }
        };
        let is_default = model.get("isDefault").and_then(Value::as_bool).unwrap_or_default();
        let chosen = text("defaultReasoningEffort");
        let efforts = strings(model.get("reasoningEfforts"));
        let efforts: Vec<_> = efforts.map(|effort| starred(effort, effort == chosen)).collect();
        vec![starred(&text("id"), is_default), efforts.join(" "), one_line(&text("description"))]
    };
    let rows: Vec<_> = models.into_iter().flatten().map(row).collect();
    if rows.is_empty() {
        writeln!(out, "no models")?;
    } else {
        table(&["MODEL", "EFFORTS", "DESCRIPTION"], &rows, &mut out)?;
        writeln!(out, "(*: if nobody chooses)")?;
    }
    for warning in strings(listed.get("warnings")) {
        writeln!(out, "warning: {warning}")?;
    }
    Ok(())
}

/// Prints what is left of the account, and tokens as tables.
pub(super) fn usage(told: &Map<String, Value>, mut out: Screen<impl Write>) -> io::Result<()> {
    let windows = [("primary", "shorter window"), ("secondary", "longer window")];
    for (key, name) in windows {
        let window = told.get("rateLimits").and_then(|limits| limits.get(key));
        let Some(used) = window.and_then(|window| window.get("usedPercent")?.as_f64()) else {
            continue;
        };
        let resets = window.and_then(|window| window.get("resetsAt")?.as_str());
        let resets = resets.map_or_else(String::new, |at| format!(", resets at {at}"));
        writeln!(out, "{name}: {used:.0} % used{resets}")?;
    }
    let row = |item: &Value, keys: &[&str]| -> Vec<String> {
        let cell = |key: &&str| match item.pointer(key) {
            Some(Value::String(text)) => one_line(text),
            Some(value) => value.to_string(),
            None => "-".to_owned(),
        };
        keys.iter().map(cell).collect()
    };
    let tables = [
        (
            "byDay",
            ["DAY", "MODEL", "TURNS", "TOKENS"],
            ["/day", "/model", "/turns", "/usage/totalTokens"],
        ),
        (
            "sessions",
            ["SESSION", "TITLE", "TURNS", "TOKENS"],
            ["/id", "/title", "/turns", "/usage/totalTokens"],
        ),
    ];
    for (key, titles, keys) in tables {
        let items = told.get(key).and_then(Value::as_array).into_iter().flatten();
        let rows: Vec<_> = items.map(|item| row(item, &keys)).collect();
        if !rows.is_empty() {
            writeln!(out)?;
            table(&titles, &rows, &mut out)?;
        }
    }
    let total = told.get("total").and_then(|total| total.get("totalTokens")?.as_u64());
    writeln!(out, "{} tokens in all", total.unwrap_or_default())?;
    for warning in strings(told.get("warnings")) {
        writeln!(out, "warning: {warning}")?;
    }
    Ok(())
}

/// Text for one cell of a table.
pub(super) fn one_line(text: &str) -> String {
    text.replace(['\n', '\t'], " ")
}

/// Prints a table whose columns are as wide as their widest cell.
pub(super) fn table(
    titles: &[&str],
    rows: &[Vec<String>],
    out: &mut Screen<impl Write>,
) -> io::Result<()> {
    let titles = titles.iter().map(|title| Cow::Borrowed(*title)).collect();
    let rows = rows.iter().map(|row| row.iter().map(|cell| out.cell(cell)).collect());
    let lines: Vec<Vec<Cow<'_, str>>> = std::iter::once(titles).chain(rows).collect();
    let width = |column: usize| {
        lines
            .iter()
            .filter_map(|line| line.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..lines.first().map_or(0, Vec::len)).map(width).collect();
    for line in &lines {
        let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}

/// How long ago something was, roughly.
pub(super) fn age(text: &str, now: Timestamp) -> String {
    let Ok(then) = text.parse::<Timestamp>() else { return text.to_owned() };
    let seconds = now.duration_since(then).max(SignedDuration::ZERO).as_secs();
    match seconds {
        0..60 => "just now".to_owned(),
        60..3600 => format!("{} min ago", seconds / 60),
        3600..172_800 => format!("{} h ago", seconds / 3600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

fn strings(value: Option<&Value>) -> impl Iterator<Item = &str> {
    value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn output(structured: &Value, is_error: bool) -> ToolOutput {
        let structured = structured.as_object().cloned().unwrap();
        ToolOutput { structured, text: "as text".into(), is_error }
    }

    fn printed(output: &ToolOutput) -> (String, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        answer(output, &mut out, &mut err).unwrap();
        (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }

    #[test]
    fn the_answer_stands_alone_on_stdout() {
        let turn = json!({
            "response": "42", "status": "completed", "sessionId": "s", "continuity": "new",
            "usage": {"totalTokens": 110}, "durationMs": 1234, "warnings": ["careful"],
        });
        let (out, err) = printed(&output(&turn, false));
        assert_eq!(out, "42\n");
        assert_eq!(err, "warning: careful\n[session s · new · 110 tokens · 1.2 s]\n");
        assert_eq!(printed(&output(&json!({"pong": true}), false)).0, "as text\n");
    }

    #[test]
    fn a_failure_says_what_to_do_and_keeps_what_there_is() {
        let failed = json!({"response": "half", "status": "failed", "message": "It broke.", "next": "Mend it."});
        let (out, err) = printed(&output(&failed, true));
        assert_eq!(out, "half\n");
        assert!(err.contains("codex-mcp-server: It broke. Mend it.\n"), "{err}");
    }

    #[test]
    fn a_table_is_as_wide_as_its_cells() {
        let rows = [vec!["a".to_owned(), "x".to_owned()], vec!["long".to_owned(), "y".to_owned()]];
        let printed = |rows: &[Vec<String>], is_terminal| {
            let mut out = Screen::new(Vec::new(), is_terminal);
            table(&["A", "B"], rows, &mut out).unwrap();
            String::from_utf8(out.into_inner()).unwrap()
        };
        assert_eq!(printed(&rows, true), "A     B\na     x\nlong  y\n");
        let rows = [vec!["\u{1b}[2J".to_owned(), "x".to_owned()]];
        assert_eq!(printed(&rows, true), "A          B\n\\u{1b}[2J  x\n");
        assert_eq!(printed(&rows, false), "A     B\n\u{1b}[2J  x\n");
    }

    #[test]
    fn ages_are_rough() {
        let now: Timestamp = "2026-01-03T00:00:00Z".parse().unwrap();
        for (then, expected) in [
            ("2026-01-03T00:00:10Z", "just now"),
            ("2026-01-02T23:50:00Z", "10 min ago"),
            ("2026-01-01T23:00:00Z", "25 h ago"),
            ("2025-12-30T00:00:00Z", "4 days ago"),
            ("?", "?"),
        ] {
            assert_eq!(age(then, now), expected);
        }
    }
}
