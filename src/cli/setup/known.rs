//! The clients we can register with: where each keeps its servers, and how one looks there.

use std::path::PathBuf;

use clap::ValueEnum;
use serde_json::{Value, json};

use crate::app::Environment;

/// A client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Client {
    /// Claude Code
    ClaudeCode,
    /// Claude Desktop
    ClaudeDesktop,
    /// Codex itself, to ask another Codex
    Codex,
    /// Cursor
    Cursor,
    /// Gemini CLI
    Gemini,
    /// opencode
    Opencode,
    /// Visual Studio Code
    Vscode,
    /// Windsurf
    Windsurf,
    /// Zed
    Zed,
}

/// How a client starts this server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) command: String,
    pub(super) args: Vec<String>,
    pub(super) env: Vec<(String, String)>,
}

/// A command of the client's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OwnCommand {
    pub(super) program: &'static str,
    pub(super) args: Vec<String>,
}

impl Client {
    /// Its configuration file; none if nobody knows where home is.
    pub(super) fn file(self, environment: &Environment) -> Option<PathBuf> {
        let home = || environment.home.clone();
        Some(match self {
            Self::ClaudeCode => {
                environment.claude_folder.clone().or_else(home)?.join(".claude.json")
            }
            Self::ClaudeDesktop => {
                environment.app_folder.as_ref()?.join("Claude/claude_desktop_config.json")
            }
            Self::Codex => environment.codex_home.join("config.toml"),
            Self::Cursor => home()?.join(".cursor/mcp.json"),
            Self::Gemini => home()?.join(".gemini/settings.json"),
            Self::Opencode => {
                let folder = environment.config_folder.as_ref()?.join("opencode");
                let commented = folder.join("opencode.jsonc");
                if commented.is_file() { commented } else { folder.join("opencode.json") }
            }
            Self::Vscode => environment.app_folder.as_ref()?.join("Code/User/mcp.json"),
            Self::Windsurf => home()?.join(".codeium/windsurf/mcp_config.json"),
            Self::Zed => environment.config_folder.as_ref()?.join("zed/settings.json"),
        })
    }

    /// The key that holds all servers.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Codex => "mcp_servers",
            Self::Opencode => "mcp",
            Self::Vscode => "servers",
            Self::Zed => "context_servers",
            _ => "mcpServers",
        }
    }

    /// Whether it is started from a desktop, where `PATH` is short.
    pub(super) fn has_short_path(self) -> bool {
        matches!(
            self,
            Self::ClaudeDesktop | Self::Cursor | Self::Vscode | Self::Windsurf | Self::Zed
        )
    }

    /// How an entry looks in its file.
    pub(super) fn value(self, entry: &Entry) -> Value {
        let Entry { command, args, env, .. } = entry;
        let mut value = match self {
            Self::Opencode => {
                let words: Vec<&String> = std::iter::once(command).chain(args).collect();
                json!({"type": "local", "command": words, "enabled": true})
            }
            Self::ClaudeCode | Self::Vscode => {
                json!({"type": "stdio", "command": command, "args": args})
            }
            // Its own command leaves out what is empty.
            Self::Codex if args.is_empty() => json!({"command": command}),
            _ => json!({"command": command, "args": args}),
        };
        let key = if self == Self::Opencode { "environment" } else { "env" };
        if let (false, Value::Object(fields)) = (env.is_empty(), &mut value) {
            fields.insert(key.to_owned(), value_of(env));
        }
        value
    }

    /// Its own command to add an entry.
    pub(super) fn add(self, entry: &Entry) -> Option<OwnCommand> {
        let Entry { name, command, args, env } = entry;
        let pairs = || env.iter().map(|(name, value)| format!("{name}={value}"));
        let each =
            |option: &str| pairs().flat_map(|pair| [option.to_owned(), pair]).collect::<Vec<_>>();
        let (program, words) = match self {
            Self::ClaudeCode => {
                let value = self.value(entry).to_string();
                ("claude", words(&["mcp", "add-json", "--scope", "user", name, &value]))
            }
            Self::Codex => {
                let head = [words(&["mcp", "add", name]), each("--env")].concat();
                ("codex", [head, words(&["--", command]), args.clone()].concat())
            }
            Self::Gemini => {
                let head = [words(&["mcp", "add", "--scope", "user"]), each("--env")].concat();
                // Words after `--` are the server's, even if they look like options.
                let tail = if args.is_empty() {
                    Vec::new()
                } else {
                    [words(&["--"]), args.clone()].concat()
                };
                ("gemini", [head, words(&[name, command]), tail].concat())
            }
            Self::Vscode => {
                let value =
                    json!({"name": name, "command": command, "args": args, "env": value_of(env)});
                ("code", words(&["--add-mcp", &value.to_string()]))
            }
            _ => return None,
        };
        Some(OwnCommand { program, args: words })
    }

    /// Its own command to take one out.
    pub(super) fn remove(self, name: &str) -> Option<OwnCommand> {
        let (program, args) = match self {
            Self::ClaudeCode => ("claude", words(&["mcp", "remove", "--scope", "user", name])),
            Self::Codex => ("codex", words(&["mcp", "remove", name])),
            Self::Gemini => ("gemini", words(&["mcp", "remove", "--scope", "user", name])),
            _ => return None,
        };
        Some(OwnCommand { program, args })
    }

    /// What the user does next.
    pub(super) fn next(self, name: &str) -> String {
        match self {
            Self::ClaudeCode => format!("`claude mcp get {name}` shows whether it connects."),
            Self::Codex => {
                format!("`codex mcp get {name}` shows it; a new Codex session has its tools.")
            }
            Self::Gemini => "`gemini mcp list` shows whether it connects.".to_owned(),
            Self::Opencode => "`opencode mcp list` shows whether it connects.".to_owned(),
            Self::Vscode => "Run `MCP: List Servers` in VS Code and start it.".to_owned(),
            Self::Zed => "Zed picks it up at once; see its agent panel's settings.".to_owned(),
            Self::Cursor => "Enable it in Cursor's settings under MCP.".to_owned(),
            Self::ClaudeDesktop | Self::Windsurf => {
                "Restart the program to see its tools.".to_owned()
            }
        }
    }
}

fn value_of(env: &[(String, String)]) -> Value {
    Value::Object(env.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect())
}

fn words(all: &[&str]) -> Vec<String> {
    all.iter().map(|word| (*word).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        Entry {
            name: "codex".into(),
            command: "/bin/cms".into(),
            args: vec!["--tools".into(), "codex".into()],
            env: vec![("CODEX_BIN".into(), "/bin/codex".into())],
        }
    }

    #[test]
    fn every_client_has_a_file_and_an_entry_of_its_own_form() {
        let folder = |name: &str| Some(PathBuf::from(name));
        let environment = Environment {
            home: folder("/h"),
            config_folder: folder("/c"),
            app_folder: folder("/a"),
            codex_home: "/h/.codex".into(),
            ..Environment::default()
        };
        let shown: Vec<String> = Client::value_variants()
            .iter()
            .map(|client| {
                let file = client.file(&environment).unwrap();
                format!(
                    "{client:?}: {} {}\n{:#}",
                    file.display(),
                    client.key(),
                    client.value(&entry())
                )
            })
            .collect();
        insta::assert_snapshot!(shown.join("\n"));
    }

    #[test]
    fn own_commands_keep_the_servers_words_apart_from_theirs() {
        let shown: Vec<String> =
            [Client::ClaudeCode, Client::Codex, Client::Gemini, Client::Vscode]
                .iter()
                .flat_map(|client| [client.add(&entry()), client.remove("codex")])
                .flatten()
                .map(|own| format!("{} {}", own.program, own.args.join(" ")))
                .collect();
        insta::assert_snapshot!(shown.join("\n"));
    }
}
