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
                file = header.rsplit_once(" b/").map(|(_, path)| unquoted(path));
                files.entry(file.clone().unwrap_or_default()).or_default();
            } else if let Some(path) = line.strip_prefix("--- ") {
                old = path.strip_prefix("a/").map(unquoted);
            } else if let Some(path) = line.strip_prefix("+++ ") {
                // A file that is gone is found under its old name.
                file = path.strip_prefix("b/").map(unquoted).or_else(|| old.clone());
            } else if let Some(hunk) = hunk(line) {
                removed = hunk.removed;
                added = hunk.added;
                let last = hunk.start + hunk.added.saturating_sub(1);
                let lines = files.entry(file.clone().unwrap_or_default()).or_default();
                lines.push((hunk.start, last));
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
    let ((_, removed), (start, added)) = (range(old)?, range(new)?);
    Some(Hunk { removed, start, added })
}

/// A path as git writes it: names with tabs, quotes or line breaks are quoted.
fn unquoted(path: &str) -> String {
    let path = path.trim_end_matches(['\t', '"']);
    path.replace("\\\"", "\"").replace("\\t", "\t").replace("\\\\", "\\")
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
        assert!(!at(5, 20) && !at(22, 30));
        assert!(lines.touches("src/a.rs", None, None) && lines.touches("gone.txt", Some(0), None));
        assert!(lines.touches("with space.bin", Some(7), None));
        assert!(!lines.touches("src/b.rs", None, None));
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
