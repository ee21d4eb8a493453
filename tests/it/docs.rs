//! The generated parts of the README are what the program says of itself. `just docs` writes them.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::support::World;

#[tokio::test]
async fn the_readme_lists_the_tools_and_settings_there_are() {
    let world = World::new().await;
    let server = world.server().await;
    let listed = server.request("tools/list", json!({})).await;
    let mut tools = "| tool | arguments | what it does |\n|---|---|---|\n".to_owned();
    for tool in listed["result"]["tools"].as_array().unwrap() {
        tools += &tool_row(tool);
    }
    let shown = world
        .launch()
        .args(["config", "show"])
        .without_env("CODEX_BIN")
        .without_env("CODEX_MCP_SERVER_HOST_MODE")
        .without_env("CODEX_MCP_SERVER_HOST_LINGER")
        .command()
        .output()
        .await
        .unwrap();
    let defaults: toml::Table = String::from_utf8(shown.stdout).unwrap().parse().unwrap();
    let schema = world.launch().args(["config", "schema"]).command().output().await.unwrap();
    let schema: Value = serde_json::from_slice(&schema.stdout).unwrap();
    let settings = "| key | default | what it is |\n|---|---|---|\n".to_owned()
        + &setting_rows(&schema, &toml::Value::Table(defaults), "");

    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = fs::read_to_string(&path).unwrap();
    let expected = replaced(&readme, "tools", &tools);
    let expected = replaced(&expected, "settings", &settings);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &expected).unwrap();
    } else {
        assert!(readme == expected, "README.md is out of date; run `just docs`");
    }
}

#[test]
fn the_readme_names_codes_and_settings_there_are() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let errors =
        ["error/session.rs", "error/codex.rs", "error/turn.rs", "error/mod.rs", "restarted.rs"]
            .map(|file| fs::read_to_string(root.join("src/mcp").join(file)).unwrap())
            .concat();
    let (_, rest) = readme.split_once("## Troubleshooting").unwrap();
    let (table, _) = rest.split_once("\n## ").unwrap();
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split(" | ").collect()).collect();
    let codes = rows
        .iter()
        .filter_map(|row| row.get(1))
        .flat_map(|cell| cell.split('`').skip(1).step_by(2));
    let is_code = |word: &&str| word.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    let codes: Vec<&str> = codes.filter(is_code).collect();
    assert!(codes.len() > 10, "{codes:?}");
    for code in codes {
        assert!(errors.contains(&format!("\"{code}\"")), "no error has the code {code}");
    }
    let (_, settings) = readme.split_once("<!-- settings:begin -->").unwrap();
    for section in ["limits.", "turn.", "codex.", "session.", "store."] {
        for rest in readme.split(&format!("`{section}")).skip(1) {
            let key = format!("{section}{}", rest.split(['`', '=']).next().unwrap());
            assert!(settings.contains(&format!("| `{key}` |")), "no setting {key}");
        }
    }
}

/// Cargo.toml says which Rust is needed; the README and the job that builds with it say the same.
#[test]
fn the_oldest_rust_is_the_same_everywhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |file: &str| fs::read_to_string(root.join(file)).unwrap();
    let manifest: toml::Table = read("Cargo.toml").parse().unwrap();
    let oldest = manifest["workspace"]["package"]["rust-version"].as_str().unwrap().to_owned();
    assert!(read("README.md").contains(&format!("Rust {oldest} or newer")));
    let workflow = read(".github/workflows/ci.yml");
    for step in [format!("install {oldest} --"), format!("cargo +{oldest} build --locked")] {
        assert!(workflow.contains(&step), "{step}");
    }
    // A dependency that asks for more would stop that job.
    let output = std::process::Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked"])
        .current_dir(root)
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let numbers = |version: &str| -> Vec<u32> {
        version.split('.').map(|part| part.parse().unwrap_or_default()).collect()
    };
    for package in metadata["packages"].as_array().unwrap() {
        let wanted = package["rust_version"].as_str().unwrap_or("1.0");
        let wanted = numbers(wanted).into_iter().take(2).collect::<Vec<_>>();
        assert!(wanted <= numbers(&oldest), "{} needs Rust {wanted:?}", package["name"]);
    }
}

fn setting_rows(schema: &Value, defaults: &toml::Value, prefix: &str) -> String {
    let mut rows = String::new();
    for (name, property) in schema["properties"].as_object().unwrap() {
        let key = format!("{prefix}{name}");
        let default = defaults.get(name);
        if property["properties"].is_object() {
            let none = toml::Value::Table(toml::Table::new());
            rows += &setting_rows(property, default.unwrap_or(&none), &format!("{key}."));
            continue;
        }
        let default = default.map_or_else(|| "-".to_owned(), |value| format!("`{value}`"));
        let description = property["description"].as_str().unwrap_or_else(|| panic!("{key}"));
        rows += &format!("| `{key}` | {default} | {} |\n", description.replace('\n', " "));
    }
    rows
}

fn tool_row(tool: &Value) -> String {
    let schema = &tool["inputSchema"];
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let mut names: Vec<&String> = schema["properties"].as_object().unwrap().keys().collect();
    names.sort_by_key(|name| !required.contains(&json!(name)));
    let arguments: Vec<String> = names
        .iter()
        .map(|name| format!("`{name}`{}", if required.contains(&json!(name)) { "*" } else { "" }))
        .collect();
    let mark = if tool["annotations"]["readOnlyHint"] == true { " (reads only)" } else { "" };
    format!(
        "| `{}`{mark} | {} | {} |\n",
        tool["name"].as_str().unwrap(),
        arguments.join(", "),
        tool["description"].as_str().unwrap()
    )
}

/// Writes a generated section of a file.
pub(crate) fn update(file: &str, section: &str, content: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, replaced(&text, section, &format!("{content}\n"))).unwrap();
}

fn replaced(text: &str, section: &str, content: &str) -> String {
    let (begin, end) = (format!("<!-- {section}:begin -->\n"), format!("<!-- {section}:end -->"));
    let (before, rest) = text.split_once(&begin).expect("the section begins");
    let (_, after) = rest.split_once(&end).expect("the section ends");
    format!("{before}{begin}{content}{end}{after}")
}
