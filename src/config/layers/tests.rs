//! How layers win over each other, and which mistakes are found where.

use proptest::prelude::*;

use super::*;
use crate::{
    codex::Sandbox,
    config::declared::{Setting, settings},
};

fn variables(values: &[(&str, &str)]) -> Variables {
    let values = values.iter().map(|(name, value)| (name.to_string(), value.to_string()));
    Variables { values: values.collect(), config_folder: None }
}

fn flags(settings: &[(&str, &str)]) -> Flags {
    let settings = settings.iter().map(|(key, value)| (key.to_string(), value.to_string()));
    Flags { file: None, settings: settings.collect() }
}

fn file(text: &str) -> (tempfile::TempDir, Flags) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    std::fs::write(&path, text).unwrap();
    (folder, Flags { file: Some(path), settings: Vec::new() })
}

#[test]
fn the_later_layer_wins_and_is_named() {
    let (_folder, mut flags) =
        file("[session]\nttl = \"1h\"\ncap = 5\n[defaults]\nmodel = \"file\"");
    flags.settings.push(("session.cap".into(), "7".into()));
    let variables = variables(&[
        ("CODEX_MCP_SERVER_SESSION_TTL", "2h"),
        ("CODEX_MCP_SERVER_LIMITS_SANDBOX_CEILING", "danger-full-access"),
        ("CODEX_DEFAULT_MODEL", "env"),
        ("CODEX_BIN", "/opt/codex"),
        ("HOME", "/nowhere"),
    ]);
    let Resolved { config, origins } = resolve(&flags, &variables).unwrap();
    assert_eq!(config.session.ttl.to_string(), "2h");
    assert_eq!(config.session.cap, 7);
    assert_eq!(config.defaults.model.as_deref(), Some("env"));
    assert_eq!(config.codex.bin, Some("/opt/codex".into()));
    assert_eq!(config.limits.sandbox_ceiling, Sandbox::DangerFullAccess);
    assert_eq!(config.session.rebuild_turns, 2);
    let place = |key: &str| origins[key].1.as_str();
    assert_eq!(place("session.ttl"), "CODEX_MCP_SERVER_SESSION_TTL");
    assert_eq!(place("session.cap"), "flag for `session.cap`");
    assert_eq!(place("store.kind"), "default");
}

#[test]
fn a_mistake_is_named_with_its_place() {
    let message = |flags: &Flags, variables: &[(&str, &str)]| {
        resolve(flags, &self::variables(variables)).unwrap_err().to_string()
    };
    let none = Flags::default();
    let wrong = message(&none, &[("CODEX_MCP_SERVER_SESSION_TLL", "1h")]);
    assert!(wrong.starts_with("CODEX_MCP_SERVER_SESSION_TLL") && wrong.contains("tll"), "{wrong}");
    let wrong = message(&none, &[("CODEX_MCP_SERVER_SESSION_TTL", "soon")]);
    assert!(wrong.contains("`soon` is not a length of time"), "{wrong}");
    let wrong = message(&flags(&[("limits.sandbox_ceiling", "open")]), &[]);
    assert!(wrong.contains("limits.sandbox_ceiling") && wrong.contains("read-only"), "{wrong}");
    let (folder, named) = file("[store]\nkind = 7");
    assert!(message(&named, &[]).starts_with(&folder.path().display().to_string()));
    let missing = Flags { file: Some("/no/config.toml".into()), settings: Vec::new() };
    assert!(message(&missing, &[]).contains("/no/config.toml"));
}

#[test]
fn the_default_sandbox_stays_under_the_ceiling() {
    let settings = flags(&[("defaults.sandbox", "danger-full-access")]);
    assert!(resolve(&settings, &Variables::default()).is_err());
}

#[test]
fn a_variable_that_nobody_filled_in_is_not_set() {
    let empty = variables(&[
        ("CODEX_BIN", ""),
        ("CODEX_MCP_SERVER_CONFIG", ""),
        ("CODEX_MCP_SERVER_SESSION_TTL", " "),
        ("CODEX_MCP_CALLBACK_URI", ""),
        ("STRUCTURED_CONTENT_ENABLED", ""),
    ]);
    assert_eq!(resolve(&Flags::default(), &empty).unwrap().config, Config::default());
}

#[test]
fn the_variables_of_the_npm_package_mean_settings() {
    let with =
        |name, value| resolve(&Flags::default(), &variables(&[(name, value)])).unwrap().config;
    assert_eq!(with("CODEX_DEFAULT_MODEL", "4").defaults.model.as_deref(), Some("4"));
    let uri = with("CODEX_MCP_CALLBACK_URI", "http://x/cb").defaults.callback_uri;
    assert_eq!(uri.as_deref(), Some("http://x/cb"));
    for (word, expected) in [("1", true), ("YES", true), ("on", true), ("0", false), ("no", false)]
    {
        assert_eq!(with(STRUCTURED, word).results.structured, expected, "{word}");
    }
}

#[test]
fn a_setting_keeps_its_older_name() {
    let (_folder, named) = file("[codex]\npatience = \"2m\"");
    let old = variables(&[("CODEX_MCP_SERVER_CODEX_PATIENCE", "3m")]);
    for (resolved, expected) in [
        (resolve(&named, &Variables::default()), "2m"),
        (resolve(&Flags::default(), &old), "3m"),
        (resolve(&flags(&[("codex.patience", "4m")]), &old), "4m"),
        (resolve(&flags(&[("codex.timeout", "5m")]), &old), "5m"),
    ] {
        let Resolved { config, origins } = resolved.unwrap();
        assert_eq!(config.codex.timeout.to_string(), expected);
        assert!(origins.contains_key("codex.timeout") && !origins.contains_key("codex.patience"));
    }
}

#[test]
fn what_would_break_every_call_is_refused() {
    for setting in [
        ("session.cap", "0"),
        ("session.ttl", "0s"),
        ("codex.idle", "0s"),
        ("codex.timeout", "0s"),
        ("turn.timeout", "0s"),
        ("turn.silence", "500ms"),
        ("turn.question", "0s"),
        ("turn.wait", "0s"),
        ("limits.prompt_characters", "0"),
        ("limits.image_bytes", "0"),
        ("limits.review_bytes", "0"),
        ("limits.min_remaining", "100"),
        ("limits.review_bytes", "900001"),
        ("limits.result_characters", "0"),
    ] {
        let error = resolve(&flags(&[setting]), &Variables::default()).unwrap_err();
        assert!(error.to_string().contains(setting.0), "{error}");
    }
    for setting in [("codex.release_after", "0s"), ("limits.images", "0")] {
        resolve(&flags(&[setting]), &Variables::default()).unwrap();
    }
}

#[test]
fn every_setting_has_a_variable() {
    for setting in settings() {
        let variable = variable_of(&setting.key);
        assert_eq!(key_of(&variable).as_ref(), Some(&setting.key));
    }
}

/// Values of every type that a file can have, some of them right.
fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::Boolean),
        (-3i64..5000).prop_map(Value::Integer),
        (-2.0f64..2.0).prop_map(Value::Float),
        "[0-9]{1,3}(ms|s|m|h)".prop_map(Value::String),
        prop_oneof!["read-only", "never", "memory", "json", "high", "\\PC{0,5}"]
            .prop_map(Value::String),
    ];
    leaf.prop_recursive(1, 4, 3, |leaf| {
        proptest::collection::vec(leaf, 0..3).prop_map(Value::Array)
    })
}

proptest! {
    #[test]
    fn a_file_is_a_configuration_or_the_mistake_is_named(
        chosen in proptest::collection::vec((0usize..120, any_value()), 0..3),
    ) {
        let keys: Vec<String> = settings().iter().map(|setting| setting.key.clone()).collect();
        let mut table = Table::new();
        for (number, value) in chosen {
            let key = keys.get(number).map_or("session.unknown", String::as_str);
            insert(&mut table, key, value);
        }
        let (folder, flags) = file(&table.to_string());
        match resolve(&flags, &Variables::default()) {
            Ok(Resolved { config, .. }) => {
                let written = toml::to_string(&config).unwrap();
                let (_folder, again) = file(&written);
                prop_assert_eq!(resolve(&again, &Variables::default()).unwrap().config, config);
            }
            Err(error) => {
                let message = error.to_string();
                let file = folder.path().display().to_string();
                let names_it = keys.iter().any(|key| message.starts_with(key.as_str()));
                prop_assert!(message.starts_with(&file) || names_it, "{}", message);
            }
        }
    }

    #[test]
    fn any_variable_is_a_setting_or_named_as_a_mistake(
        name in "[A-Z_]{0,20}", value in "\\PC{0,10}",
    ) {
        let name = format!("{PREFIX}{name}");
        if let Err(error) = resolve(&Flags::default(), &variables(&[(name.as_str(), value.as_str())])) {
            let message = error.to_string();
            let key = key_of(&name).unwrap_or_default();
            let is_file = name == CONFIG_VARIABLE;
            prop_assert!(message.starts_with(&name) || message.starts_with(&key) || is_file);
        }
    }
}

#[test]
fn tools_are_a_list_of_words() {
    let settings = flags(&[("tools", "codex, ping")]);
    let config = resolve(&settings, &Variables::default()).unwrap().config;
    assert_eq!(config.tools, ["codex", "ping"]);
}

fn variable_of(key: &str) -> String {
    format!("{PREFIX}{}", key.to_uppercase().replace('.', "_"))
}

/// A value of a setting that is not its default, as a file has it and as text.
fn another(setting: &Setting) -> (Value, String) {
    let both = |value: Value| (value.clone(), value.to_string());
    let word = |word: &str| (Value::from(word), word.to_owned());
    let default = Table::try_from(Config::default()).unwrap();
    let default =
        leaves(&default, "").into_iter().find(|(key, _)| *key == setting.key).map(|(_, it)| it);
    match (setting.key.as_str(), default) {
        ("compat", _) => word("vendor"),
        ("tenants", _) => both("t = { roots = [\"/r\"] }".parse::<Table>().unwrap().into()),
        ("store.path_map", _) => {
            both("\"/there.x\" = \"/here.y\"".parse::<Table>().unwrap().into())
        }
        ("store.kind", _) => word("memory"),
        ("host.mode", _) => word("off"),
        ("log.format", _) => word("json"),
        ("log.traces", _) => word("http://localhost:1/v1/traces"),
        ("limits.sandbox_ceiling" | "defaults.sandbox", _) => word("read-only"),
        ("limits.when_exhausted", _) => word("wait"),
        ("defaults.approval_policy", _) => word("never"),
        ("session.lease" | "turn.timeout" | "turn.wait", _) => word("7m"),
        ("http.address", _) => word("127.0.0.1:9999"),
        ("store.keep_rollouts", _) => both(true.into()),
        (key, None) if key.starts_with("limits.") || key == "codex.processes" => both(7.into()),
        _ if setting.is_list => (Value::Array(vec!["/a".into(), "/b".into()]), "/a, /b".to_owned()),
        (_, Some(Value::Boolean(is))) => both((!is).into()),
        (_, Some(Value::Integer(number))) => both((number + 1).into()),
        // A length of time, or words.
        (_, Some(Value::String(text))) if text.parse::<crate::session::Span>().is_ok() => {
            word("7m")
        }
        _ => word("/x"),
    }
}

#[test]
fn every_setting_is_the_same_from_a_file_the_environment_and_a_flag() {
    for setting in settings() {
        let key = setting.key.as_str();
        let (value, text) = another(setting);
        let (_folder, in_file) = file(&table(key, value).to_string());
        let layers = [
            (in_file, Variables::default()),
            (Flags::default(), variables(&[(&variable_of(key), &text)])),
            (flags(&[(key, &text)]), Variables::default()),
        ];
        let [from_file, from_environment, from_flag] = layers.map(|(flags, variables)| {
            resolve(&flags, &variables).unwrap_or_else(|error| panic!("{key}: {error}")).config
        });
        assert_ne!(from_file, Config::default(), "{key}");
        assert_eq!(from_environment, from_file, "{key}");
        assert_eq!(from_flag, from_file, "{key}");
    }
}

#[test]
fn every_path_is_made_absolute_wherever_it_stands() {
    let base = Path::new("/base");
    let tenants = "\"a.b\" = { roots = [\"r\"], codex_home = \"h\", api_key_file = \"k\", codex_bin = \"d/c\" }";
    let tenants: Value = tenants.parse::<Table>().unwrap().into();
    for Setting { key, is_list, is_map, place, .. } in settings() {
        let Some(place) = place else { continue };
        let value = match (is_list, is_map) {
            (true, _) => Value::Array(vec!["d/x".into(), "../y".into()]),
            (_, true) => Value::Table(table("there", "d/x".into())),
            _ => "d/x".into(),
        };
        let (_folder, in_file) = file(&table(key, value.clone()).to_string());
        let from_file =
            resolve(&in_file, &Variables::default()).unwrap().config.absolute(base).unwrap();
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let from_flag = resolve(&flags(&[(key, &text)]).absolute(base), &Variables::default());
        assert_eq!(from_flag.unwrap().config, from_file, "{key}");
        let shown = Table::try_from(&from_file).unwrap();
        let shown = leaves(&shown, "").into_iter().filter(|(found, _)| found.starts_with(key));
        let shown: String = shown.map(|(_, value)| value.to_string()).collect();
        assert!(shown.contains("/base/d/x") && !shown.contains("\"d/x"), "{key}: {shown}");
        if *place != Place::Path {
            let stays = if *place == Place::Program { "codex" } else { "https://x/keys" };
            let kept = flags(&[(key, stays)]).absolute(base).settings;
            assert_eq!(kept, flags(&[(key, stays)]).settings);
        }
    }
    let (_folder, in_file) = file(&table("tenants", tenants).to_string());
    let config = resolve(&in_file, &Variables::default()).unwrap().config.absolute(base).unwrap();
    let shown = toml::to_string(&config.tenants).unwrap();
    for path in ["/base/r", "/base/h", "/base/k", "/base/d/c"] {
        assert!(shown.contains(path), "{shown}");
    }
}
