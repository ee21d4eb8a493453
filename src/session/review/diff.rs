//! Which lines a diff touches, read from git's own format.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// The lines that a diff touches, by file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::session) struct ChangedLines {
    root: PathBuf,
    /// First and last line of each hunk in the new version, with the lines of context around it.
    files: BTreeMap<String, Vec<(u32, u32)>>,
}

impl ChangedLines {
    /// Reads a diff whose paths are relative to `root`.
    pub(in crate::session) fn read(root: &Path, diff: &str) -> Self {
        let mut files: BTreeMap<String, Vec<(u32, u32)>> = BTreeMap::new();
        let mut old = None;
        let mut file = None;
        // How many lines of the hunk are still to come: its lines can look like headers.
        let (mut removed, mut added) = (0_u32, 0_u32);
        for line in diff.lines() {
            if removed > 0 || added > 0 {
                match line.as_bytes().first() {
                    Some(b'-') => removed = removed.saturating_sub(1),
                    Some(b'+') => added = added.saturating_sub(1),
                    Some(b'\\') => {}
                    _ => {
                        removed = removed.saturating_sub(1);
                        added = added.saturating_sub(1);
                    }
                }
            } else if let Some(header) = line.strip_prefix("diff --git ") {
                // Of binary files and pure renames there is nothing else.
                file = named_twice(header);
                files.entry(file.clone().unwrap_or_default()).or_default();
            } else if let Some(path) = line.strip_prefix("--- ") {
                old = unquoted(path).strip_prefix("a/").map(str::to_owned);
            } else if let Some(path) = line.strip_prefix("+++ ") {
                // A file that is gone is found under its old name.
                file = unquoted(path).strip_prefix("b/").map(str::to_owned).or_else(|| old.clone());
            } else if let Some(hunk) = hunk(line) {
                removed = hunk.removed;
                added = hunk.added;
                let lines = files.entry(file.clone().unwrap_or_default()).or_default();
                // Of lines that are gone a model says where they were.
                for (start, count) in [(hunk.start, hunk.added), (hunk.old_start, hunk.removed)] {
                    lines.push((start, start + count.saturating_sub(1)));
                }
            }
        }
        files.remove("");
        Self { root: root.to_owned(), files }
    }

    /// The file of the diff that a model means by `path`, which may be absolute or relative to `directory`.
    pub(super) fn file(&self, directory: &Path, path: &str) -> Option<&str> {
        let absolute = directory.join(path);
        let from_root = Path::new(path).strip_prefix(&self.root).ok();
        let from_directory = absolute.strip_prefix(&self.root).ok();
        let plain = path.trim_start_matches("./");
        let prefixed = plain.strip_prefix("a/").or_else(|| plain.strip_prefix("b/"));
        let readings = [
            from_root.and_then(Path::to_str),
            Some(plain),
            from_directory.and_then(Path::to_str),
            prefixed,
        ];
        let known =
            |reading: &str| self.files.get_key_value(reading).map(|(file, _)| file.as_str());
        readings.into_iter().flatten().find_map(known)
    }

    /// Whether some of these lines of a file of the diff are touched, or any, if no lines are named.
    pub(super) fn touches(&self, file: &str, start: Option<u32>, end: Option<u32>) -> bool {
        let Some(hunks) = self.files.get(file) else { return false };
        let Some(start) = start else { return true };
        let end = end.unwrap_or(start).max(start);
        // A file without hunks is binary, renamed, or gone.
        hunks.is_empty() || hunks.iter().any(|(first, last)| start <= *last && *first <= end)
    }
}

struct Hunk {
    old_start: u32,
    removed: u32,
    start: u32,
    added: u32,
}

/// Parses `@@ -1,2 +3,4 @@`.
fn hunk(line: &str) -> Option<Hunk> {
    let (old, rest) = line.strip_prefix("@@ -")?.split_once(" +")?;
    let (new, _) = rest.split_once(" @@")?;
    let range = |text: &str| -> Option<(u32, u32)> {
        let (start, count) = text.split_once(',').unwrap_or((text, "1"));
        Some((start.parse().ok()?, count.parse().ok()?))
    };
    let ((old_start, removed), (start, added)) = (range(old)?, range(new)?);
    Some(Hunk { old_start, removed, start, added })
}

/// The path in `a/PATH b/PATH`, which is the same on both sides but for renames.
fn named_twice(header: &str) -> Option<String> {
    let same =
        (0..header.len()).filter(|at| header.get(*at..).is_some_and(|rest| rest.starts_with(' ')));
    let halves = same.filter_map(|at| Some((header.get(..at)?, header.get(at + 1..)?)));
    let plain = |text: &str, side: &str| unquoted(text).strip_prefix(side).map(str::to_owned);
    let mut named = halves.filter_map(|(old, new)| Some((plain(old, "a/")?, plain(new, "b/")?)));
    let mut last = None;
    named
        .find_map(|(old, new)| {
            last = Some(new.clone());
            (old == new).then_some(new)
        })
        .or(last)
}

/// A path as git writes it: names with quotes, tabs or line breaks are in quotes, with C's escapes.
fn unquoted(path: &str) -> String {
    let path = path.trim_end_matches('\t');
    let Some(inside) = path.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return path.to_owned();
    };
    let mut bytes = Vec::new();
    let mut rest = inside.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        match rest.next() {
            Some(b'n') => bytes.push(b'\n'),
            Some(b't') => bytes.push(b'\t'),
            Some(b'r') => bytes.push(b'\r'),
            Some(high @ b'0'..=b'3') => {
                let digits = [high, rest.next().unwrap_or(b'0'), rest.next().unwrap_or(b'0')];
                let value = digits.iter().fold(0_u32, |sum, digit| sum * 8 + u32::from(digit & 7));
                bytes.push(u8::try_from(value).unwrap_or_default());
            }
            Some(other) => bytes.push(other),
            None => {}
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIFF: &str = "\
diff --git a/src/a.rs b/src/a.rs
index 1..2 100644
--- a/src/a.rs
+++ b/src/a.rs
@@ -1,3 +1,4 @@
 one
--- a/trap
+++ b/trap
+two
 three
@@ -20 +21 @@ fn x()
-old
+new
\\ No newline at end of file
diff --git a/gone.txt b/gone.txt
deleted file mode 100644
--- a/gone.txt
+++ /dev/null
@@ -1,2 +0,0 @@
-a
-b
diff --git a/with space.bin b/with space.bin
Binary files a/with space.bin and b/with space.bin differ
";

    #[test]
    fn findings_are_placed_in_the_diff() {
        let lines = ChangedLines::read(Path::new("/r"), DIFF);
        let names: Vec<_> = lines.files.keys().map(String::as_str).collect();
        assert_eq!(names, ["gone.txt", "src/a.rs", "with space.bin"]);
        let at = |start, end| lines.touches("src/a.rs", Some(start), Some(end));
        assert!(at(1, 1) && at(4, 9) && at(21, 21) && at(0, 99));
        assert!(!at(5, 19) && !at(22, 30));
        assert!(lines.touches("src/a.rs", None, None) && lines.touches("gone.txt", Some(2), None));
        assert!(lines.touches("with space.bin", Some(7), None));
        assert!(!lines.touches("src/b.rs", None, None));
    }

    #[test]
    fn odd_names_are_read() {
        for (written, name) in [
            ("b/plain b/c", "b/plain b/c"),
            (r#""b/a\"b\tc\nd\\e""#, "b/a\"b\tc\nd\\e"),
            (r#""b/\303\244""#, "b/ä"),
        ] {
            assert_eq!(unquoted(written), name, "{written}");
        }
        assert_eq!(named_twice("a/x b/y b/x b/y").as_deref(), Some("x b/y"));
        assert_eq!(named_twice("a/old b/new").as_deref(), Some("new"));
        assert_eq!(named_twice(r#""a/q\"" "b/q\"""#).as_deref(), Some("q\""));
    }

    #[test]
    fn models_name_files_in_many_ways() {
        let lines = ChangedLines::read(Path::new("/r"), DIFF);
        for path in ["src/a.rs", "./src/a.rs", "/r/src/a.rs", "b/src/a.rs", "a.rs"] {
            assert_eq!(lines.file(Path::new("/r/src"), path), Some("src/a.rs"), "{path}");
        }
        for path in ["/elsewhere/src/a.rs", "c.rs", ""] {
            assert_eq!(lines.file(Path::new("/r/src"), path), None, "{path}");
        }
    }
}
