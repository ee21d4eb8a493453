//! The tool list is the public interface: every change to it is seen here.

use serde_json::Value;

use super::{
    list::{ALL, definition},
    *,
};

fn definitions() -> Vec<Value> {
    ALL.iter().map(|tool| serde_json::to_value(definition(tool, false)).unwrap()).collect()
}

#[test]
fn every_tool_is_as_last_agreed() {
    for definition in definitions() {
        insta::assert_json_snapshot!(definition["name"].as_str().unwrap(), definition);
    }
}

#[test]
fn every_tool_suits_every_client() {
    for tool in definitions() {
        let name = tool["name"].as_str().unwrap();
        assert!(name.len() <= 24, "{name} is too long for clients that prefix names");
        assert!(tool["description"].as_str().unwrap().len() < 1024, "{name}");
        for hint in ["readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"] {
            assert!(tool["annotations"][hint].is_boolean(), "{name}.{hint}");
        }
        for schema in ["inputSchema", "outputSchema"] {
            let schema = &tool[schema];
            assert_eq!(schema["type"], "object", "{name}");
            assert_no_forbidden_keys(name, schema);
            for (property, value) in schema["properties"].as_object().unwrap() {
                assert!(value["type"].is_string(), "{name}.{property} has no plain type: {value}");
                assert!(value["description"].is_string(), "{name}.{property} is not described");
            }
        }
    }
}

fn assert_no_forbidden_keys(name: &str, schema: &Value) {
    match schema {
        Value::Object(fields) => {
            for (key, value) in fields {
                let forbidden =
                    ["$ref", "$defs", "$schema", "anyOf", "oneOf", "allOf", "not", "format"];
                assert!(!forbidden.contains(&key.as_str()), "{name} has `{key}`: {schema}");
                assert_no_forbidden_keys(name, value);
            }
        }
        Value::Array(all) => all.iter().for_each(|one| assert_no_forbidden_keys(name, one)),
        other => assert!(!other.is_null(), "{name} has a null"),
    }
}

#[test]
fn the_bridge_knows_which_tools_only_read() {
    let reads = |tool: &&tool::Tool| matches!(tool.effect, tool::Effect::Reads);
    let mut names: Vec<_> = ALL.iter().filter(reads).map(|tool| tool.name).collect();
    names.sort_unstable();
    assert_eq!(names, crate::mcp::restarted::READS);
}

#[test]
fn the_operator_chooses_tools_by_name() {
    let names = |wanted: &[&str]| {
        let wanted: Vec<_> = wanted.iter().map(ToString::to_string).collect();
        Tools::new(&wanted, false).names()
    };
    let rare = ["codex-reply", "renameSession"];
    let shown: Vec<_> = tool_names().into_iter().filter(|name| !rare.contains(name)).collect();
    assert_eq!(names(&[]), shown);
    assert!(shown.len() < 16, "each costs every conversation some of its context");
    assert_eq!(names(&["ping", "codex"]), ["codex", "ping"]);
}
