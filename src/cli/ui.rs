//! `ui`: the page in a browser.

use std::{io::Write, path::Path, process::Stdio};

use tempfile::NamedTempFile;

use super::screen::stderr;
use crate::system::private_folder;

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

/// What was printed and opened. The file that leads the browser there is gone with it.
#[derive(Debug, Default)]
pub struct Shown(Option<NamedTempFile>);

impl UiArgs {
    /// Prints the address, and has a browser open it by a file in `folder`.
    pub fn show(&self, url: &str, folder: Option<&Path>, shown: &mut Shown) {
        // Whoever started this reads it, or does not.
        let _ = writeln!(super::screen::stdout(), "{url}");
        shown.0 = if self.no_open { None } else { folder.and_then(|folder| open(url, folder)) };
        let next = if shown.0.is_some() { "A browser opens it." } else { "Open it in a browser." };
        let said = writeln!(
            stderr(),
            "{next} The address is good once. The page is there until this program ends (Ctrl-C)."
        );
        drop(said);
    }
}

/// Has a browser open a file that leads to the address: others can read what a program is started with, and not this file.
/// It is not among temporary files, which a command of Codex's can write to.
#[expect(clippy::disallowed_methods, reason = "a browser is none of Codex's processes")]
fn open(url: &str, folder: &Path) -> Option<NamedTempFile> {
    private_folder(folder).ok()?;
    let file =
        tempfile::Builder::new().prefix("codex-mcp-").suffix(".html").tempfile_in(folder).ok()?;
    let leads = format!("<!doctype html><meta http-equiv=\"refresh\" content=\"0;url={url}\">\n");
    file.as_file().write_all(leads.as_bytes()).ok()?;
    let opened = OPENERS.iter().any(|opener| {
        let mut command = std::process::Command::new(opener);
        command.arg(file.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        // It may be the browser itself: nobody waits for its end.
        command.spawn().is_ok()
    });
    opened.then_some(file)
}
