//! `config show`.

use std::io::{self, Write};

use crate::config::Resolved;

/// Prints every setting as TOML that could be a configuration file, each with its origin.
///
/// # Errors
/// If it cannot be written.
pub fn show_config(resolved: &Resolved, mut out: impl Write) -> io::Result<()> {
    let lines = |section: Option<&str>| -> Vec<(String, &str)> {
        let all = resolved.origins.iter();
        all.filter_map(|(key, (value, place))| match (section, key.split_once('.')) {
            (None, None) => Some((format!("{key} = {value}"), place.as_str())),
            (Some(section), Some((own, name))) if own == section => {
                Some((format!("{name} = {value}"), place.as_str()))
            }
            _ => None,
        })
        .collect()
    };
    let mut sections: Vec<&str> =
        resolved.origins.keys().filter_map(|key| Some(key.split_once('.')?.0)).collect();
    sections.dedup();
    for (line, place) in lines(None) {
        writeln!(out, "{line:<44} # {place}")?;
    }
    for section in sections {
        writeln!(out, "\n[{section}]")?;
        for (line, place) in lines(Some(section)) {
            writeln!(out, "{line:<44} # {place}")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Environment, Flags, resolve};

    #[test]
    fn what_is_shown_is_a_configuration_file() {
        let flags = Flags { file: None, settings: vec![("session.cap".into(), "3".into())] };
        let resolved = resolve(&flags, &Environment::default()).unwrap();
        let mut shown = Vec::new();
        show_config(&resolved, &mut shown).unwrap();
        let shown = String::from_utf8(shown).unwrap();
        assert_eq!(toml::from_str::<Config>(&shown).unwrap(), resolved.config);
        insta::assert_snapshot!(shown);
    }
}
