//! What `deny.toml` says of licences and sources, for every package in `Cargo.lock`. `cargo deny`, which also knows of
//! advisories, needs minutes to be built and the network; the project's workflow runs it.

use std::{collections::BTreeSet, fs, process::Command};

use serde_json::Value;

use super::root;

/// Whether an expression of licences can be met with those that are allowed: `A OR (B AND C)`, or the old `A/B`.
fn is_met(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let (is_met, rest) = any(&words, allowed);
    assert!(rest.is_empty(), "`{expression}` is no expression of licences");
    is_met
}

fn any<'a>(words: &'a [&'a str], allowed: &BTreeSet<String>) -> (bool, &'a [&'a str]) {
    let (mut is_met, mut rest) = all(words, allowed);
    while let ["OR", after @ ..] = rest {
        let (other, after) = all(after, allowed);
        (is_met, rest) = (is_met || other, after);
    }
    (is_met, rest)
}

fn all<'a>(words: &'a [&'a str], allowed: &BTreeSet<String>) -> (bool, &'a [&'a str]) {
    let (mut is_met, mut rest) = one(words, allowed);
    while let ["AND", after @ ..] = rest {
        let (other, after) = one(after, allowed);
        (is_met, rest) = (is_met && other, after);
    }
    (is_met, rest)
}

fn one<'a>(words: &'a [&'a str], allowed: &BTreeSet<String>) -> (bool, &'a [&'a str]) {
    match words {
        ["(", inner @ ..] => match any(inner, allowed) {
            (is_met, [")", rest @ ..]) => (is_met, rest),
            _ => panic!("a parenthesis is not closed: {words:?}"),
        },
        // An exception only gives more rights.
        [licence, "WITH", _, rest @ ..] | [licence, rest @ ..] => {
            (allowed.contains(*licence), rest)
        }
        [] => (false, words),
    }
}

#[test]
fn every_dependency_has_a_licence_that_is_allowed_and_comes_from_the_registry() {
    let policy = fs::read_to_string(root().join("deny.toml")).unwrap();
    let policy: toml::Table = policy.parse().unwrap();
    let allowed = policy["licenses"]["allow"].as_array().unwrap().iter();
    let allowed = allowed.map(|licence| licence.as_str().unwrap().to_owned()).collect();
    assert!(
        is_met("MIT OR Apache-2.0 WITH LLVM-exception", &allowed)
            && is_met("GPL-2.0/MIT", &allowed)
    );
    assert!(!is_met("(MIT OR ISC) AND GPL-3.0", &allowed) && !is_met("GPL-3.0", &allowed));
    // What other systems need may not have been downloaded.
    let compiler = Command::new("rustc").arg("-vV").output().unwrap();
    let compiler = String::from_utf8(compiler.stdout).unwrap();
    let host = compiler.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline", "--all-features"])
        .args(["--filter-platform", host])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(metadata.status.success(), "{}", String::from_utf8_lossy(&metadata.stderr));
    let metadata: Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    assert!(packages.len() > 100);
    let mut wrong = Vec::new();
    for package in packages {
        let name = format!("{} {}", package["name"], package["version"]);
        let licence = package["license"].as_str().unwrap_or_default();
        if !is_met(licence, &allowed) {
            wrong.push(format!("{name}: `{licence}` is not in deny.toml"));
        }
        let source = package["source"].as_str();
        if source
            .is_some_and(|source| source != "registry+https://github.com/rust-lang/crates.io-index")
        {
            wrong.push(format!("{name} comes from {source:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
