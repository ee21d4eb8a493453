//! The core's verbs: each function of a handle to the sessions only looks, or checks first what its caller may
//! do. A new one has to be put among the former by hand.

use std::{collections::BTreeSet, fs, path::Path};

use syn::{ImplItem, Item, Type, Visibility};

/// What decides and changes nothing for any caller.
const LOOKS: &[&str] = &[
    "approvals",
    "caller",
    "changes",
    // Checks where a caller comes from.
    "check_origin",
    "config",
    "default_model",
    // Only looks if its caller may do no more.
    "follow",
    "inspect",
    "inspect_codex",
    "inspect_turns",
    "is_nested",
    "list",
    "listed_directory",
    "load",
    "login",
    "models",
    "notices",
    "of_thread",
    // Its reader only looks.
    "follow_from",
    "on_behalf_of",
    "profile",
    "record",
    // Collects only if its caller may.
    "recorded",
    "running",
    // For the server itself: no caller is told.
    "sealing_key",
    "store_place",
    "threads",
    "transcript",
    "turns_here",
    "usage",
    "waiting",
    "worktree_diff",
    "worktrees",
];

/// What the program itself does with a handle that no caller gets.
const OWN: &[&str] = &["drain", "new", "shutdown", "shutdown_codex"];

#[test]
fn every_verb_of_the_core_knows_its_caller() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/session");
    let (mut unchecked, mut checked) = (BTreeSet::new(), BTreeSet::new());
    read(&source, &mut |name, is_checked| {
        if is_checked {
            checked.insert(name)
        } else {
            unchecked.insert(name)
        };
    });
    let known: BTreeSet<String> = LOOKS.iter().chain(OWN).map(ToString::to_string).collect();
    let new: Vec<_> = unchecked.difference(&known).collect();
    assert!(new.is_empty(), "these check nothing; should they? {new:?}");
    let gone: Vec<_> = known.difference(&unchecked).collect();
    assert!(gone.is_empty(), "there are no such verbs any more: {gone:?}");
    for verb in ["send", "answer", "steer", "interrupt", "cancel_task", "rename", "delete", "fork"]
    {
        assert!(checked.contains(verb), "{verb}");
    }
}

/// Finds the public functions of `impl Sessions`, and whether each begins with a check of its caller.
fn read(folder: &Path, found: &mut impl FnMut(String, bool)) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            read(&path, found);
            continue;
        }
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        for item in syn::parse_file(&text).unwrap().items {
            let Item::Impl(block) = item else { continue };
            let is_handle =
                matches!(&*block.self_ty, Type::Path(path) if path.path.is_ident("Sessions"));
            if !is_handle || block.trait_.is_some() {
                continue;
            }
            for item in block.items {
                let ImplItem::Fn(function) = item else { continue };
                if !matches!(function.vis, Visibility::Public(_)) {
                    continue;
                }
                let name = function.sig.ident.to_string();
                let first = text.split(&format!("fn {name}(")).nth(1).unwrap();
                let first = first.split_once(" {\n").unwrap().1.lines().next().unwrap();
                found(name, first.contains(".check(Verb::"));
            }
        }
    }
}
