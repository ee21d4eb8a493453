//! What is shown while a call is under way, on stderr: live on a terminal, plain lines elsewhere.

use std::{
    io::{self, IsTerminal, Write},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;
use tokio::task::JoinHandle;

use super::ask;

/// The server tells several things in one message, with this in between.
const SEPARATOR: &str = " · ";

/// How messages begin that need no line of their own: the spinner shows them, or the answer repeats them.
const PASSING: [&str; 3] = ["still ", "writing the answer", "warning: "];

/// How the number of tokens is told.
const TOKENS: &str = " tokens so far";

/// How often the spinner turns.
const TICK: Duration = Duration::from_millis(120);

/// Where progress is shown.
pub(super) struct Terminal {
    bar: Option<ProgressBar>,
    silent: bool,
}

impl Terminal {
    /// The one this process has.
    pub(super) fn new() -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner();
            let style = ProgressStyle::with_template("{spinner} {elapsed} {prefix}{wide_msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            bar
        });
        Self { bar, silent: false }
    }

    /// One that shows nothing.
    pub(super) fn silent() -> Self {
        Self { bar: None, silent: true }
    }

    /// Whether somebody is there who can be asked: one who sees the question and whose keys we read.
    pub(super) fn can_ask(&self) -> bool {
        self.bar.is_some() && io::stdin().is_terminal()
    }

    /// Shows what happens.
    pub(super) fn tell(&mut self, message: &str) {
        for part in message.split(SEPARATOR) {
            if let Some(count) = part.strip_suffix(TOKENS) {
                if let Some(bar) = &self.bar {
                    bar.set_prefix(format!("{count} tokens · "));
                }
                continue;
            }
            if let Some(bar) = &self.bar {
                bar.enable_steady_tick(TICK);
                bar.set_message(part.to_owned());
            }
            if !PASSING.iter().any(|passing| part.starts_with(passing)) {
                self.say(&format!("• {part}"));
            }
        }
    }

    /// Writes a line that stays.
    pub(super) fn say(&self, line: &str) {
        if self.silent {
            return;
        }
        match &self.bar {
            Some(bar) => bar.println(line),
            // Nobody may read it; that stops nothing.
            None => drop(writeln!(io::stderr(), "{line}")),
        }
    }

    /// Puts a question; the answer is what an MCP client would say.
    pub(super) fn ask(&self, params: Value) -> JoinHandle<Value> {
        if let Some(bar) = &self.bar {
            bar.disable_steady_tick();
            bar.set_draw_target(indicatif::ProgressDrawTarget::hidden());
        }
        tokio::task::spawn_blocking(move || ask::ask(&params, io::stdin().lock(), io::stderr()))
    }

    /// After a question.
    pub(super) fn go_on(&self) {
        if let Some(bar) = &self.bar {
            bar.set_draw_target(indicatif::ProgressDrawTarget::stderr());
            bar.enable_steady_tick(TICK);
        }
    }

    /// Takes the live part away.
    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
