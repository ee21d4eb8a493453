//! The command line: what was typed, and what is printed.
//!
//! [`args`] has the flags and subcommands, [`tools`] makes a subcommand of every tool. A tool is called
//! through [`client`], a client of the server in this very process, so that a terminal gets what every
//! other client gets; [`run`] goes along with it, [`terminal`] and [`ask`] show what happens and put
//! questions, [`mod@print`] and [`transcript`] write answers. [`doctor`] looks for trouble, [`setup`]
//! registers the server with clients. [`gate`] and [`transfer`] are for the plugin of Claude Code.

mod approvals;
mod args;
mod ask;
mod client;
mod doctor;
mod error;
mod gate;
#[cfg(unix)]
mod host;
mod print;
mod run;
mod screen;
mod servers;
mod sessions;
mod setup;
mod show;
mod target;
mod terminal;
mod token;
mod tools;
mod transcript;
mod transfer;
mod ui;

pub use args::{Args, Command, ConfigCommand, Fixed};
pub use error::CliError;
pub use gate::review_since;
pub use run::{Exit, run_tool, written};
pub use screen::{stderr, stdout};
pub use show::{show_completions, show_config, show_manual, show_schema};
pub use ui::Shown;
