//! Which modules of the library need which: read from the syntax trees, without what is for tests.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use syn::{
    Attribute, Item, ItemMod, ItemUse, UseTree,
    visit::{self, Visit},
};

/// What one file names.
#[derive(Default)]
pub(super) struct Module {
    /// Modules of ours, by their paths from the root: `session::store`.
    pub(super) ours: BTreeSet<String>,
    /// Paths into other crates.
    pub(super) foreign: BTreeSet<String>,
}

/// The modules below a source folder by their paths from the root, and what each needs.
pub(super) fn modules(source: &Path) -> BTreeMap<String, Module> {
    let mut files = BTreeMap::new();
    read(source, "", &mut files);
    let names: BTreeSet<String> = files.keys().cloned().collect();
    let needs = |(name, file): (String, syn::File)| {
        let mut paths = Paths { module: name.clone(), named: BTreeSet::new() };
        paths.visit_file(&file);
        let mut module = Module::default();
        for path in paths.named {
            match path.strip_prefix("crate::") {
                Some(path) => module.ours.extend(owner(path, &names)),
                None => drop(module.foreign.insert(path)),
            }
        }
        (name, module)
    };
    files.into_iter().map(needs).collect()
}

/// The innermost module of a path: the rest of it is what that module defines or re-exports.
fn owner(path: &str, modules: &BTreeSet<String>) -> Option<String> {
    let ends = path.match_indices("::").map(|(at, _)| at).chain([path.len()]);
    let prefixes = ends.filter_map(|end| path.get(..end));
    prefixes.filter(|prefix| modules.contains(*prefix)).last().map(str::to_owned)
}

fn read(folder: &Path, prefix: &str, files: &mut BTreeMap<String, syn::File>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
        let inner = if prefix.is_empty() { stem.clone() } else { format!("{prefix}::{stem}") };
        if path.is_dir() {
            read(&path, &inner, files);
            continue;
        }
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let name = match stem.as_str() {
            "mod" => prefix.to_owned(),
            // These are put together from everything, and nothing needs them.
            "lib" | "main" if prefix.is_empty() => continue,
            _ => inner,
        };
        let text = fs::read_to_string(&path).unwrap();
        let file =
            syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        files.insert(name, file);
    }
    // Whole modules of tests, by the declarations in their parents.
    let tests: Vec<String> =
        files.iter().flat_map(|(name, file)| test_modules(name, file)).collect();
    files.retain(|name, _| {
        !tests.iter().any(|test| name == test || name.starts_with(&format!("{test}::")))
    });
}

fn test_modules(name: &str, file: &syn::File) -> Vec<String> {
    let declared = file.items.iter().filter_map(|item| match item {
        Item::Mod(module) if is_for_tests(&module.attrs) => Some(&module.ident),
        _ => None,
    });
    declared.map(|module| format!("{name}::{module}")).collect()
}

fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.meta.require_list().is_ok_and(|list| list.tokens.to_string() == "test")
    })
}

/// Collects paths, made absolute: `crate::a::b` or `other_crate::c`.
struct Paths {
    module: String,
    named: BTreeSet<String>,
}

impl Paths {
    fn add(&mut self, segments: &[String]) {
        let mut absolute: Vec<String> = vec!["crate".to_owned()];
        let own = self.module.split("::").map(str::to_owned);
        let mut rest = segments.iter();
        match segments.first().map(String::as_str) {
            Some("crate") => drop(rest.next()),
            Some("self") => {
                absolute.extend(own);
                rest.next();
            }
            Some("super") => {
                absolute.extend(own);
                while rest.as_slice().first().is_some_and(|segment| segment == "super") {
                    absolute.pop();
                    rest.next();
                }
            }
            _ => absolute.clear(),
        }
        absolute.extend(rest.cloned());
        self.named.insert(absolute.join("::"));
    }

    fn tree(&mut self, tree: &UseTree, before: &mut Vec<String>) {
        match tree {
            UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.tree(&path.tree, before);
                before.pop();
            }
            UseTree::Group(group) => group.items.iter().for_each(|item| self.tree(item, before)),
            UseTree::Glob(_) => self.add(before),
            UseTree::Name(syn::UseName { ident })
            | UseTree::Rename(syn::UseRename { ident, .. }) => {
                let mut path = before.clone();
                path.extend((ident != "self").then(|| ident.to_string()));
                self.add(&path);
            }
        }
    }
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        if !is_for_tests(&item.attrs) {
            self.tree(&item.tree, &mut Vec::new());
        }
    }

    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        if !is_for_tests(&module.attrs) {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<String> =
            path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if segments.len() > 1 {
            self.add(&segments);
        }
        visit::visit_path(self, path);
    }
}
