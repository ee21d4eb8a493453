//! The house rules that a compiler does not know: who may import whom, and how long a file may be.

use std::{
    fs,
    path::{Path, PathBuf},
};

const LONGEST_FILE: usize = 500;
const LONGEST_MEDIAN: usize = 150;

/// Folder, what it may import of ours, and words that must not appear in it.
const RULES: &[(&str, &[&str], &[&str])] = &[
    ("codex", &["codex"], &["rmcp", "axum", "sqlx", "crate::session", "crate::config"]),
    (
        "session",
        &["session", "codex"],
        &["rmcp", "axum", "codex::rpc", "codex::protocol", "codex::process"],
    ),
    ("session/store", &["session"], &["crate::codex", "tokio::spawn", "::now()"]),
    ("mcp", &["mcp", "session", "codex"], &["sqlx", "axum", "std::process", "tokio::process"]),
    ("serve", &["serve", "mcp", "config"], &["crate::codex", "sqlx"]),
    ("config", &["config", "codex"], &["rmcp", "sqlx", "tokio"]),
];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What comes before the tests of a file, without comments.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// The modules of ours that a file names after `crate::`.
fn imports(code: &str) -> Vec<String> {
    let mut named = Vec::new();
    for rest in code.split("crate::").skip(1) {
        let words = rest.trim_start_matches('{');
        let end = if rest.starts_with('{') { block_end(words) } else { words.len().min(80) };
        let list = words.get(..end).unwrap_or(words);
        let first = |word: &str| {
            word.trim()
                .split(|c: char| !c.is_alphanumeric() && c != '_')
                .next()
                .unwrap_or_default()
                .to_owned()
        };
        if rest.starts_with('{') {
            named.extend(top_level(list).iter().map(|word| first(word)));
        } else {
            named.push(first(list));
        }
    }
    named.retain(|word| !word.is_empty());
    named
}

fn block_end(text: &str) -> usize {
    let mut depth = 1;
    for (at, letter) in text.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

fn top_level(list: &str) -> Vec<String> {
    let (mut depth, mut words) = (0, vec![String::new()]);
    for letter in list.chars() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => words.push(String::new()),
            _ => {}
        }
        if depth == 0 && letter != ',' {
            words.last_mut().unwrap().push(letter);
        }
    }
    words
}

#[test]
fn nobody_imports_what_they_must_not_see() {
    let mut wrong = Vec::new();
    for (folder, allowed, forbidden) in RULES {
        let files = sources(&root().join("src").join(folder));
        assert!(!files.is_empty(), "no such folder: {folder}");
        for file in files.iter().filter(|file| !file.ends_with("contract.rs")) {
            let code = code(file);
            let imported = imports(&code);
            let strangers = imported.iter().filter(|module| !allowed.contains(&module.as_str()));
            wrong.extend(strangers.map(|module| format!("{} imports {module}", file.display())));
            let words = forbidden.iter().filter(|word| code.contains(**word));
            wrong.extend(words.map(|word| format!("{} mentions {word}", file.display())));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn files_are_short_and_say_what_they_are_for() {
    let mut lengths = Vec::new();
    for folder in ["src", "testkit/src", "tests", "examples", "benches"] {
        for file in sources(&root().join(folder)) {
            let text = fs::read_to_string(&file).unwrap();
            let length = text.lines().count();
            assert!(length <= LONGEST_FILE, "{} has {length} lines", file.display());
            let is_test_module = file.ends_with("tests.rs");
            assert!(
                text.starts_with("//!") || is_test_module,
                "{} has no opening words",
                file.display()
            );
            lengths.push(length);
        }
    }
    lengths.sort_unstable();
    let median = lengths[lengths.len() / 2];
    assert!(median <= LONGEST_MEDIAN, "the median file has {median} lines");
}
