//! `ui`: the page in a browser.

use std::{io::Write, process::Stdio};

use super::screen::stderr;

/// Shows sessions in a browser.
#[derive(Debug, Clone, clap::Args)]
pub struct UiArgs {
    /// Print the address only
    #[arg(long)]
    pub no_open: bool,
    /// Listen on this port of loopback [default: any that is free]
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    pub port: u16,
}

/// What opens a page in the user's browser.
const OPENERS: &[&str] = if cfg!(target_os = "macos") {
    &["open"]
} else if cfg!(windows) {
    &["explorer"]
} else {
    &["xdg-open", "wslview"]
};

impl UiArgs {
    /// Prints the address, and has a browser open it.
    pub fn show(&self, url: &str) {
        // Whoever started this reads it, or does not.
        let _ = writeln!(super::screen::stdout(), "{url}");
        let is_open = !self.no_open && open(url);
        let next = if is_open { "A browser opens it." } else { "Open it in a browser." };
        let said = writeln!(
            stderr(),
            "{next} The address is good once. The page is there until this program ends (Ctrl-C)."
        );
        drop(said);
    }
}

#[expect(clippy::disallowed_methods, reason = "a browser is none of Codex's processes")]
fn open(url: &str) -> bool {
    OPENERS.iter().any(|opener| {
        let mut command = std::process::Command::new(opener);
        command.arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    })
}
