//! What can be shown without a server: the configuration, completions, the manual page.

use std::io::{self, Write};

use super::args::command_line;
use crate::config::{self, Resolved};

/// Prints every setting with its origin, as a valid configuration file. Settings without a value are
/// comments.
///
/// # Errors
/// If it cannot be written.
pub fn show_config(resolved: &Resolved, mut out: impl Write) -> io::Result<()> {
    let set = resolved.origins.iter().map(|(key, origin)| (key.as_str(), Some(origin)));
    let unset = config::settings().iter().filter(|setting| {
        !setting.has_default && !setting.is_map && !resolved.origins.contains_key(&setting.key)
    });
    let mut entries: Vec<_> =
        set.chain(unset.map(|setting| (setting.key.as_str(), None))).collect();
    // What belongs to no section comes first, as TOML wants it.
    entries.sort_by_key(|(key, _)| (key.contains('.'), *key));
    let mut section = "";
    for (key, origin) in entries {
        let (own, name) = key.split_once('.').unwrap_or(("", key));
        if own != section {
            section = own;
            writeln!(out, "\n[{section}]")?;
        }
        match origin {
            Some((_, place)) if config::setting(key).is_some_and(|it| it.is_secret) => {
                writeln!(out, "# {name} is a secret, which is set; {place}")?;
            }
            Some((value, place)) => writeln!(out, "{:<44} # {place}", format!("{name} = {value}"))?,
            None => writeln!(out, "# {name} is not set")?,
        }
    }
    Ok(())
}

/// Prints the schema of the configuration file.
///
/// # Errors
/// If it cannot be written.
pub fn show_schema(out: impl Write) -> io::Result<()> {
    super::print::json(&config::schema(), out)
}

/// Prints completions for a shell.
///
/// # Errors
/// If they cannot be written.
pub fn show_completions(shell: clap_complete::Shell, mut out: impl Write) -> io::Result<()> {
    // Clap panics if it cannot write.
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut command_line(), "codex-mcp-server", &mut text);
    out.write_all(&text)
}

/// Prints the manual page.
///
/// # Errors
/// If it cannot be written.
pub fn show_manual(mut out: impl Write) -> io::Result<()> {
    clap_mangen::Man::new(command_line()).render(&mut out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Flags, Variables, resolve};

    #[test]
    fn what_is_shown_is_a_configuration_file() {
        let flags = Flags { file: None, settings: vec![("session.cap".into(), "3".into())] };
        let resolved = resolve(&flags, &Variables::default()).unwrap();
        let mut shown = Vec::new();
        show_config(&resolved, &mut shown).unwrap();
        let shown = String::from_utf8(shown).unwrap();
        assert_eq!(toml::from_str::<Config>(&shown).unwrap(), resolved.config);
        insta::assert_snapshot!(shown);
    }
}
