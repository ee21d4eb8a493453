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

/// Separates several lines in one progress message.
const SEPARATOR: &str = " · ";

/// The beginnings of messages that get no line of their own, because the spinner shows them or the answer
/// repeats them.
const PASSING: [&str; 3] = ["still ", "writing the answer", "warning: "];

/// How a message ends that says how many tokens were used.
const TOKENS: &str = " tokens so far";

/// How often the spinner turns.
const TICK: Duration = Duration::from_millis(120);

/// Where progress is shown.
pub(super) struct Terminal {
    bar: Option<ProgressBar>,
    silent: bool,
    /// Lines that wait until the open question is answered. `None` if there is no question.
    held: Option<Vec<String>>,
}

impl Terminal {
    /// The terminal of this process.
    pub(super) fn new() -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner();
            let style = ProgressStyle::with_template("{spinner} {elapsed} {prefix}{wide_msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            bar
        });
        Self { bar, silent: false, held: None }
    }

    /// A terminal that shows nothing.
    pub(super) fn silent() -> Self {
        Self { bar: None, silent: true, held: None }
    }

    /// Whether questions can be asked: stderr and stdin must both be terminals.
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

    /// Asks a question. The task returns the answer of an MCP client.
    pub(super) fn ask(&mut self, params: Value) -> JoinHandle<Value> {
        self.held.get_or_insert_default();
        if let Some(bar) = &self.bar {
            bar.disable_steady_tick();
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        tokio::task::spawn_blocking(move || ask::ask(&params, io::stdin().lock(), screen::stderr()))
    }

    /// Goes on after a question, with the lines that had to wait.
    pub(super) fn go_on(&mut self) {
        if let Some(bar) = &self.bar {
            bar.set_draw_target(ProgressDrawTarget::stderr());
            bar.enable_steady_tick(TICK);
        }
        for line in self.held.take().unwrap_or_default() {
            self.say(&line);
        }
    }

    /// Removes the spinner.
    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Writes a line. A closed stderr is no reason to stop.
fn write(line: &str) {
    let _ = writeln!(screen::stderr(), "{line}");
}
