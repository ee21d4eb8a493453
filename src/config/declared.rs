//! What is known of each setting from its declaration: its key, whether it is a list, a path, a secret, and whether it has
//! a default. Read from the schema of the types, so that no setting has to be named a second time.

use std::sync::LazyLock;

use serde_json::Value;
use toml::Table;

use super::{Config, schema::schema};

/// What a setting that names something on this machine has as its `format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// A path, or a list of paths.
    Path,
    /// A program: a name alone is looked for on `PATH`.
    Program,
    /// A path, or a URL.
    PathOrUrl,
}

/// A setting.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each says something of its own")]
pub(crate) struct Setting {
    /// Its dotted key.
    pub(crate) key: String,
    /// Whether it is a list; on the command line and in the environment, words between commas.
    pub(crate) is_list: bool,
    /// Whether it is a table whose keys the operator chooses.
    pub(crate) is_map: bool,
    /// Whether and how it names a place on this machine.
    pub(crate) place: Option<Place>,
    /// Whether it is a secret, and never shown.
    pub(crate) is_secret: bool,
    /// Whether it has a default. Without one it is unset until the operator chooses.
    pub(crate) has_default: bool,
}

/// Every setting, by key. Those of one tenant are not among them: only the table of all is.
pub(crate) fn settings() -> &'static [Setting] {
    static ALL: LazyLock<Vec<Setting>> = LazyLock::new(|| {
        let defaults = Table::try_from(Config::default()).unwrap_or_default();
        let mut found = Vec::new();
        collect(&schema(), &defaults, "", &mut found);
        found.sort_by(|a, b| a.key.cmp(&b.key));
        found
    });
    &ALL
}

/// The setting with this key.
pub(crate) fn setting(key: &str) -> Option<&'static Setting> {
    let all = settings();
    let at = all.binary_search_by(|setting| setting.key.as_str().cmp(key)).ok()?;
    all.get(at)
}

fn collect(schema: &Value, defaults: &Table, prefix: &str, found: &mut Vec<Setting>) {
    let properties = schema.get("properties").and_then(Value::as_object);
    for (name, property) in properties.into_iter().flatten() {
        let key = format!("{prefix}{name}");
        let default = defaults.get(name);
        if property.get("properties").is_some() {
            let none = Table::new();
            let inner = default.and_then(toml::Value::as_table).unwrap_or(&none);
            collect(property, inner, &format!("{key}."), found);
            continue;
        }
        let format = property.get("format").and_then(Value::as_str);
        found.push(Setting {
            key,
            is_list: has_type(property, "array"),
            is_map: has_type(property, "object"),
            place: match format {
                Some("path") => Some(Place::Path),
                Some("program") => Some(Place::Program),
                Some("path-or-url") => Some(Place::PathOrUrl),
                _ => None,
            },
            is_secret: property.get("writeOnly").and_then(Value::as_bool).unwrap_or_default(),
            has_default: default.is_some(),
        });
    }
}

fn has_type(schema: &Value, name: &str) -> bool {
    match schema.get("type") {
        Some(Value::Array(types)) => types.iter().any(|word| word == name),
        Some(word) => word == name,
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    #[test]
    fn what_a_declaration_says_is_known() {
        let roots = setting("limits.writable_roots").unwrap();
        assert!(roots.is_list && roots.has_default && roots.place == Some(Place::Path));
        let url = setting("store.url").unwrap();
        assert!(url.is_secret && !url.has_default && !url.is_list);
        assert!(setting("codex.mcp_servers").unwrap().is_list);
        assert!(setting("tenants").unwrap().is_map && setting("limits").is_none());
        assert_eq!(setting("codex.bin").unwrap().place, Some(Place::Program));
    }

    /// A field that holds a path and does not say so would stay relative to wherever the server happens to be started.
    #[test]
    fn every_path_says_that_it_is_one() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config");
        let mut paths = 0;
        for file in ["settings.rs", "http.rs", "store.rs"] {
            let file = syn::parse_file(&fs::read_to_string(folder.join(file)).unwrap()).unwrap();
            let structs = file.items.into_iter().filter_map(|item| match item {
                syn::Item::Struct(item) => Some(item),
                _ => None,
            });
            for (name, field) in structs.flat_map(|item| {
                let name = item.ident.to_string();
                item.fields.into_iter().map(move |field| (name.clone(), field))
            }) {
                let holds_path = Holds::path(&field.ty);
                let says_so = field.attrs.iter().any(|attribute| {
                    let list = attribute.meta.require_list();
                    list.is_ok_and(|list| {
                        let words = list.tokens.to_string();
                        words.contains("\"format\"") && words.contains("\"p")
                    })
                });
                let field = field.ident.map_or_else(String::new, |ident| ident.to_string());
                assert!(!holds_path || says_so, "{name}.{field} needs a `format`");
                paths += usize::from(holds_path);
            }
        }
        assert!(paths > 10, "{paths}");
    }

    struct Holds(bool);

    impl Holds {
        fn path(of: &syn::Type) -> bool {
            let mut holds = Self(false);
            syn::visit::Visit::visit_type(&mut holds, of);
            holds.0
        }
    }

    impl<'ast> syn::visit::Visit<'ast> for Holds {
        fn visit_ident(&mut self, ident: &'ast syn::Ident) {
            self.0 |= ident == "PathBuf";
        }
    }
}
