//! What is known of each setting from its declaration: its key, whether it is a list, a path, a secret, and whether it has
//! a default. Read from the schema of the types, so that no setting has to be named a second time.

use std::{sync::LazyLock, time::Duration};

use serde_json::Value;
use toml::Table;

use super::{Config, schema::schema};
use crate::session::Span;

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
    /// What its value must be between.
    pub(crate) range: Range,
    /// Whether it is a secret, and never shown.
    pub(crate) is_secret: bool,
    /// Whether it has a default. Without one it is unset until the operator chooses.
    pub(crate) has_default: bool,
}

/// What a number or a length of time must be between.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Range {
    least: Option<i64>,
    most: Option<i64>,
    shortest: Option<Duration>,
}

impl Range {
    fn declared(schema: &Value) -> Self {
        let number = |name: &str| schema.get(name).and_then(Value::as_i64);
        let shortest = schema.get("x-minimum").and_then(Value::as_str);
        let shortest = shortest.and_then(|text| text.parse::<Span>().ok()).map(|span| span.0);
        Self { least: number("minimum"), most: number("maximum"), shortest }
    }

    /// What is wrong with a value, in words.
    pub(crate) fn check(&self, value: &toml::Value) -> Option<String> {
        let is_outside = match value {
            toml::Value::Integer(value) => {
                self.least.is_some_and(|least| *value < least)
                    || self.most.is_some_and(|most| *value > most)
            }
            toml::Value::String(text) => self.shortest.is_some_and(|shortest| {
                text.parse::<Span>().is_ok_and(|Span(value)| value < shortest)
            }),
            _ => false,
        };
        is_outside.then(|| match (self.least, self.most, self.shortest) {
            (Some(least), Some(most), _) => format!("{least} to {most} are possible"),
            (Some(least), None, _) => format!("at least {least} is needed"),
            (None, Some(most), _) => format!("at most {most} is possible"),
            (None, None, shortest) => {
                format!("at least {} is needed", Span(shortest.unwrap_or_default()))
            }
        })
    }
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
        found.push(Setting {
            key,
            is_list: has_type(property, "array"),
            is_map: has_type(property, "object"),
            place: Place::declared(property),
            range: Range::declared(property),
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

    #[test]
    fn a_range_is_kept_and_every_default_is_in_it() {
        let defaults = toml::Value::try_from(Config::default()).unwrap();
        let mut ranges = 0;
        for Setting { key, range, .. } in settings() {
            let default = key.split('.').try_fold(&defaults, |value, name| value.get(name));
            assert_eq!(default.and_then(|value| range.check(value)), None, "{key}");
            ranges += usize::from(*range != Range::default());
        }
        assert!(ranges > 10, "{ranges}");
        let check = |key: &str, value: toml::Value| setting(key).unwrap().range.check(&value);
        assert_eq!(check("session.cap", 1.into()), None);
        assert_eq!(check("session.cap", 0.into()).unwrap(), "at least 1 is needed");
        assert_eq!(check("codex.processes", 0.into()).unwrap(), "at least 1 is needed");
        let percent = "0 to 99 are possible";
        assert_eq!(check("limits.min_remaining", 100.into()).unwrap(), percent);
        assert_eq!(check("limits.review_bytes", 900_000.into()), None);
        assert_eq!(check("turn.wait", "1s".into()), None);
        assert_eq!(check("turn.wait", "900ms".into()).unwrap(), "at least 1s is needed");
        assert_eq!(check("turn.task", "0s".into()), None);
    }

    /// A field that holds a path and does not say so would stay relative to wherever the server happens to be started.
    #[test]
    fn every_path_says_that_it_is_one() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut paths = 0;
        for file in [
            "config/settings.rs",
            "config/http.rs",
            "config/store.rs",
            "session/config.rs",
            "session/limits.rs",
        ] {
            let file = syn::parse_file(&fs::read_to_string(folder.join(file)).unwrap()).unwrap();
            let structs = file.items.into_iter().filter_map(|item| match item {
                syn::Item::Struct(item) if is_declared(&item) => Some(item),
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

    fn is_declared(item: &syn::ItemStruct) -> bool {
        item.attrs.iter().any(|attribute| {
            let list = attribute.meta.require_list();
            list.is_ok_and(|list| list.tokens.to_string().contains("JsonSchema"))
        })
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
