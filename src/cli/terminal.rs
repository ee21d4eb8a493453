//! What is shown while a call is under way, on stderr: live on a terminal, plain lines elsewhere.

use std::{
    io::{self, IsTerminal, Write},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value;
use tokio::task::JoinHandle;

use super::{ask, screen};
use crate::mcp::visible_line;

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
    /// While a question stands there, lines wait until it is answered.
    held: Option<Vec<String>>,
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
        Self { bar, silent: false, held: None }
    }

    /// One that shows nothing.
    pub(super) fn silent() -> Self {
        Self { bar: None, silent: true, held: None }
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
            if let (Some(bar), None) = (&self.bar, &self.held) {
                bar.enable_steady_tick(TICK);
                bar.set_message(visible_line(part).into_owned());
            }
            if !PASSING.iter().any(|passing| part.starts_with(passing)) {
                self.say(&format!("• {part}"));
            }
        }
    }

    /// Writes a line that stays.
    pub(super) fn say(&mut self, line: &str) {
        match (&mut self.held, &self.bar) {
            _ if self.silent => {}
            (Some(held), _) => held.push(line.to_owned()),
            (None, Some(bar)) => bar.suspend(|| write(line)),
            (None, None) => write(line),
        }
    }

    /// Puts a question; the answer is what an MCP client would say.
    pub(super) fn ask(&mut self, params: Value) -> JoinHandle<Value> {
        self.held.get_or_insert_default();
        if let Some(bar) = &self.bar {
            bar.disable_steady_tick();
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        tokio::task::spawn_blocking(move || ask::ask(&params, io::stdin().lock(), screen::stderr()))
    }

    /// After a question.
    pub(super) fn go_on(&mut self) {
        if let Some(bar) = &self.bar {
            bar.set_draw_target(ProgressDrawTarget::stderr());
            bar.enable_steady_tick(TICK);
        }
        for line in self.held.take().unwrap_or_default() {
            self.say(&line);
        }
    }

    /// Takes the live part away.
    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Nobody may read it; that stops nothing.
fn write(line: &str) {
    let _ = writeln!(screen::stderr(), "{line}");
}
