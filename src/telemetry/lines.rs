//! What may stand in a line of the log: names, paths and messages of others can hold line breaks that
//! would forge a line, and characters that a terminal obeys. All of it is shown as text here, at the one place that every
//! line goes through, and no line grows without bound.

use std::{fmt, io};

use tracing_subscriber::{
    field::RecordFields,
    fmt::{
        FormatFields, MakeWriter,
        format::{DefaultFields, Writer},
    },
};

/// The longest fields of one event or span, in characters.
const LONGEST: usize = 16 * 1024;

/// Writes the fields of events and spans as text does it, in one line and without what a terminal obeys.
#[derive(Debug, Clone, Copy)]
pub(super) struct VisibleFields;

impl<'writer> FormatFields<'writer> for VisibleFields {
    fn format_fields<R: RecordFields>(
        &self,
        mut writer: Writer<'writer>,
        fields: R,
    ) -> fmt::Result {
        let mut raw = String::new();
        DefaultFields::new().format_fields(Writer::new(&mut raw), fields)?;
        for letter in raw.chars().take(LONGEST) {
            if is_hidden(letter) {
                write!(writer, "{}", letter.escape_default())?;
            } else {
                writer.write_char(letter)?;
            }
        }
        if raw.chars().nth(LONGEST).is_some() { writer.write_str("…") } else { Ok(()) }
    }
}

/// What ends a line, what a terminal obeys, and what changes the direction of text.
fn is_hidden(letter: char) -> bool {
    letter.is_control() || matches!(letter, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Makes writers that do the same to lines of JSON, in which only texts hold such characters.
#[derive(Debug)]
pub(super) struct JsonLines<W>(pub(super) W);

/// One of them.
#[derive(Debug)]
pub(super) struct JsonLine<W>(W);

impl<'writer, W: MakeWriter<'writer>> MakeWriter<'writer> for JsonLines<W> {
    type Writer = JsonLine<W::Writer>;

    fn make_writer(&'writer self) -> Self::Writer {
        JsonLine(self.0.make_writer())
    }
}

impl<W: io::Write> io::Write for JsonLine<W> {
    /// A line comes in one piece.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        let (text, end) = text.strip_suffix('\n').map_or((&*text, ""), |text| (text, "\n"));
        let mut shown = String::with_capacity(text.len());
        for letter in text.chars() {
            if is_hidden(letter) {
                // They all are in the first plane.
                shown.push_str(&format!("\\u{:04x}", u32::from(letter)));
            } else {
                shown.push(letter);
            }
        }
        self.0.write_all((shown + end).as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    /// Forged lines and what terminals obey, of all kinds.
    const EVIL: &str =
        "x\r\n2026-01-01T00:00:00Z ERROR forged\u{1b}[2J\u{9b}31m\u{7}\u{202e}\u{2028}y";

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn text(kept: &Kept) -> String {
        String::from_utf8(kept.0.lock().unwrap().clone()).unwrap()
    }

    fn say() {
        let error = io::Error::other(EVIL);
        let span = tracing::info_span!("call", tool = %EVIL);
        let _in = span.enter();
        tracing::info!(name = %EVIL, quoted = EVIL, debug = ?EVIL, "{EVIL}");
        tracing::info!(error = &error as &dyn std::error::Error, "wrong");
        tracing::info!(long = %"x".repeat(1 << 20), "long");
    }

    #[test]
    fn nobody_forges_a_line_of_text() {
        for ansi in [false, true] {
            let kept = Kept::default();
            let writer = kept.clone();
            let lines = tracing_subscriber::fmt::layer()
                .fmt_fields(VisibleFields)
                .with_ansi(ansi)
                .with_writer(move || writer.clone());
            tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), say);
            let text = text(&kept);
            assert_eq!(text.lines().count(), 3, "{text}");
            assert!(text.contains("forged") && !text.contains("\u{1b}[2J"), "{text}");
            assert!(!text.contains(['\r', '\u{9b}', '\u{7}', '\u{202e}', '\u{2028}']), "{text}");
            assert!(text.len() < 40_000, "{}", text.len());
        }
    }

    #[test]
    fn nobody_forges_a_line_of_json() {
        let kept = Kept::default();
        let writer = kept.clone();
        let lines =
            tracing_subscriber::fmt::layer().json().with_writer(JsonLines(move || writer.clone()));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), say);
        let text = text(&kept);
        assert_eq!(text.lines().count(), 3, "{text}");
        assert!(!text.lines().any(|line| line.contains(is_hidden)), "{text}");
        let first: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        assert_eq!(first["fields"]["quoted"], EVIL);
    }
}
