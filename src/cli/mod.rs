//! What was typed: flags, subcommands, and what the small ones print.

mod args;
mod show;

pub use args::{Args, Command, ConfigCommand};
pub use show::show_config;
