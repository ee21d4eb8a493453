//! Flags and subcommands.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::config::Flags;

/// MCP server over the OpenAI Codex CLI: named conversations that continue.
///
/// Without a subcommand it serves MCP over standard input and output, which is how clients start it.
#[derive(Debug, Parser)]
#[command(name = "codex-mcp-server", version, about, max_term_width = 100)]
pub struct Args {
    /// What to do; serves if absent.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// Configuration file [default: codex-mcp-server/config.toml in the user's configuration folder]
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,

    /// The Codex binary [default: found on PATH and in the usual places]
    #[arg(long, value_name = "FILE", global = true)]
    codex_bin: Option<PathBuf>,

    /// `memory`, `sqlite`, or the path of a SQLite file
    #[arg(long, value_name = "STORE", global = true)]
    store: Option<String>,

    /// Offer only these tools
    #[arg(long, value_name = "NAME,…", global = true)]
    tools: Option<String>,

    /// `vendor`: also be a drop-in for Codex's own removed `codex mcp-server`
    #[arg(long, value_name = "WHOSE", global = true)]
    compat: Option<String>,

    /// error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL", global = true)]
    log_level: Option<String>,

    /// text or json
    #[arg(long, value_name = "FORMAT", global = true)]
    log_format: Option<String>,

    /// Any setting by its key, such as `session.ttl=48h`; see `config show` for all
    #[arg(long, value_name = "KEY=VALUE", global = true, value_parser = key_value)]
    set: Vec<(String, String)>,
}

/// What to do.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Serve MCP over standard input and output (the default)
    Serve,
    /// Look at the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
}

/// What to do with the configuration.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum ConfigCommand {
    /// Print every setting in force and where it comes from
    Show,
}

impl Args {
    /// The flags as settings, in the order in which they win.
    pub fn flags(&self) -> Flags {
        let mut settings = self.set.clone();
        let mut add = |key: &str, value: String| settings.push((key.to_owned(), value));
        if let Some(path) = &self.codex_bin {
            add("codex.bin", path.display().to_string());
        }
        match self.store.as_deref() {
            None => {}
            Some(kind @ ("memory" | "sqlite")) => add("store.kind", kind.to_owned()),
            Some(path) => {
                add("store.kind", "sqlite".to_owned());
                add("store.path", path.to_owned());
            }
        }
        let words = [
            ("tools", &self.tools),
            ("compat", &self.compat),
            ("log.level", &self.log_level),
            ("log.format", &self.log_format),
        ];
        for (key, value) in words {
            if let Some(value) = value {
                add(key, value.clone());
            }
        }
        Flags { file: self.config.clone(), settings }
    }
}

fn key_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("it must be KEY=VALUE")?;
    Ok((key.trim().to_owned(), value.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Args::command().debug_assert();
    }

    #[test]
    fn flags_become_settings() {
        let args = Args::parse_from(["x", "--store", "/tmp/s.db", "--set", "session.cap=3"]);
        let settings = args.flags().settings;
        let has = |key: &str, value: &str| settings.contains(&(key.to_owned(), value.to_owned()));
        assert!(has("store.kind", "sqlite") && has("store.path", "/tmp/s.db"));
        assert!(has("session.cap", "3"));
    }
}
