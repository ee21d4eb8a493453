//! The house rules that a compiler does not know: who may import whom, that no two modules need each other, and how
//! long a file may be.

mod imports;
mod licences;
mod verbs;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use imports::{Module, modules};

const LONGEST_FILE: usize = 500;
const LONGEST_MEDIAN: usize = 150;

/// What a folder may import of ours, by beginnings of module paths, and which crates it must not name.
struct Rule {
    folder: &'static str,
    allowed: &'static [&'static str],
    forbidden: &'static [&'static str],
}

const RULES: &[Rule] = &[
    Rule { folder: "system", allowed: &["system"], forbidden: &["rmcp", "axum", "sqlx", "serde"] },
    Rule {
        folder: "git",
        allowed: &["system", "git"],
        forbidden: &["rmcp", "axum", "sqlx", "std::env::vars_os", "std::env::var_os"],
    },
    Rule { folder: "codex", allowed: &["system", "codex"], forbidden: &["rmcp", "axum", "sqlx"] },
    Rule {
        folder: "session",
        allowed: &["system", "session", "codex", "git"],
        forbidden: &["rmcp", "axum"],
    },
    Rule {
        folder: "session::store",
        allowed: &["system", "session"],
        forbidden: &["rmcp", "axum", "tokio::spawn", "jiff::Timestamp::now"],
    },
    Rule {
        folder: "mcp",
        allowed: &["system", "mcp", "session"],
        forbidden: &["sqlx", "axum", "std::process", "tokio::process"],
    },
    Rule { folder: "web", allowed: &["system", "web", "session"], forbidden: &["rmcp", "sqlx"] },
    Rule {
        folder: "serve",
        allowed: &["system", "serve", "mcp", "web", "config"],
        forbidden: &["sqlx"],
    },
    Rule {
        folder: "config",
        allowed: &["config", "codex", "session"],
        forbidden: &["rmcp", "sqlx", "tokio"],
    },
    Rule {
        folder: "telemetry",
        allowed: &["system", "telemetry", "config"],
        forbidden: &["rmcp", "sqlx"],
    },
];

/// Folders of which others see only what they re-export.
const FACADES: &[&str] = &["codex", "git", "session::store"];

/// What makes folders and files, or chooses who may read them, by the ends of paths.
const MAKES_FILES: &[&str] = &[
    "DirBuilder::new",
    "File::create",
    "File::create_new",
    "File::options",
    "OpenOptions::new",
    "fs::create_dir",
    "fs::create_dir_all",
    "fs::set_permissions",
    "fs::write",
];

/// Who makes files that are not private, and why.
const MAKES_OTHER_FILES: &[(&str, &str)] = &[
    ("cli::setup", "configuration files of clients keep the rights they have"),
    ("cli::target", "a pipe or a device is written to"),
    ("codex::rollout", "Codex's lock has the rights that Codex gives it"),
    ("git", "a user's working tree has the rights that git gives it"),
    ("serve::host", "a socket is no file"),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn is_within(module: &str, folder: &str) -> bool {
    module.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

#[test]
fn nobody_imports_what_they_must_not_see() {
    let modules = modules(&root().join("src"));
    let mut wrong = Vec::new();
    for Rule { folder, allowed, forbidden } in RULES {
        let within: Vec<_> = modules.iter().filter(|(name, _)| is_within(name, folder)).collect();
        assert!(!within.is_empty() || *folder == "telemetry", "no such folder: {folder}");
        for (name, Module { ours, foreign }) in within {
            let strangers = ours
                .iter()
                .filter(|module| !allowed.iter().any(|folder| is_within(module, folder)));
            wrong.extend(strangers.map(|module| format!("{name} imports {module}")));
            let named =
                foreign.iter().filter(|path| forbidden.iter().any(|word| is_within(path, word)));
            wrong.extend(named.map(|path| format!("{name} names {path}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn sql_is_in_the_stores_folder_alone() {
    let modules = modules(&root().join("src"));
    let named = modules.iter().filter(|(name, _)| !is_within(name, "session::store"));
    let named =
        named.filter(|(_, module)| module.foreign.iter().any(|path| is_within(path, "sqlx")));
    let named: Vec<_> = named.map(|(name, _)| name).collect();
    assert!(named.is_empty(), "{named:?}");
}

#[test]
fn private_folders_and_files_are_made_in_one_place() {
    let mut wrong = Vec::new();
    for (name, module) in modules(&root().join("src")) {
        let others = MAKES_OTHER_FILES.iter().any(|(folder, _)| is_within(&name, folder));
        if others || is_within(&name, "system") {
            continue;
        }
        let makes = module.foreign.iter().filter(|path| {
            MAKES_FILES.iter().any(|end| {
                path.strip_suffix(end).is_some_and(|rest| rest.is_empty() || rest.ends_with("::"))
            })
        });
        wrong.extend(makes.map(|path| format!("{name}: {path}; see `system`")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_folder_is_known_by_its_face_alone() {
    let mut wrong = Vec::new();
    for (name, Module { ours, .. }) in modules(&root().join("src")) {
        for facade in FACADES.iter().filter(|facade| !is_within(&name, facade)) {
            let inner = ours.iter().filter(|module| is_within(module, facade) && module != facade);
            wrong.extend(inner.map(|module| format!("{name} imports {module}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_two_modules_need_each_other() {
    let modules = modules(&root().join("src"));
    // A parent is put together of its children, and these may name what it defines.
    let are_kin = |a: &str, b: &str| is_within(a, b) || is_within(b, a);
    let needs: BTreeMap<&str, BTreeSet<&str>> = modules
        .iter()
        .map(|(name, module)| {
            let needed = module.ours.iter().map(String::as_str);
            (name.as_str(), needed.filter(|other| !are_kin(name, other)).collect())
        })
        .collect();
    let reached = |from: &str| {
        let mut reached = BTreeSet::new();
        let mut next: Vec<&str> = needs[from].iter().copied().collect();
        while let Some(module) = next.pop() {
            if reached.insert(module) {
                next.extend(needs.get(module).into_iter().flatten());
            }
        }
        reached
    };
    let circles: Vec<_> = needs.keys().filter(|name| reached(name).contains(**name)).collect();
    assert!(circles.is_empty(), "these need each other: {circles:?}");
}

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

#[test]
fn files_are_short_and_say_what_they_are_for() {
    let mut lengths = Vec::new();
    for folder in ["src", "testkit", "tests", "benches"] {
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

/// The tests that run once more are named by hand: a name of none would run nothing, and say nothing.
#[test]
fn what_runs_once_more_is_there() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let script = fs::read_to_string(top.join(".ci/run")).unwrap();
    let (_, named) = script.split_once("HOST_MODE=off cargo test --test it -- \\\n").unwrap();
    let (named, _) = named.split_once("\n}").unwrap();
    let named: Vec<_> = named.split_whitespace().filter_map(|it| it.strip_suffix("::")).collect();
    assert!(named.len() > 20, "{named:?}");
    for module in named {
        let file = top.join(format!("tests/it/{module}.rs"));
        assert!(file.exists(), "{module}");
    }
}

/// A module with parts is `x/mod.rs`, never `x.rs` beside `x/`.
#[test]
fn a_module_with_parts_is_in_its_folder() {
    let mut waiting = ["src", "testkit/src", "tests", "benches"].map(|it| root().join(it)).to_vec();
    while let Some(folder) = waiting.pop() {
        let entries: Vec<_> = fs::read_dir(&folder).unwrap().map(|it| it.unwrap().path()).collect();
        let is_code = |path: &PathBuf| path.extension().is_some_and(|it| it == "rs");
        let beside = folder.with_extension("rs");
        assert!(!(entries.iter().any(is_code) && beside.exists()), "{}", beside.display());
        waiting.extend(entries.into_iter().filter(|path| path.is_dir()));
    }
}
