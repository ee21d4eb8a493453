//! Standard output and standard error as people see them: on a terminal, nothing that is printed can act on
//! it; a pipe or a file gets every byte as it is.

use std::{
    borrow::Cow,
    io::{self, IsTerminal, Write},
};

use crate::mcp::{visible, visible_line};

/// A stream that may be a terminal.
#[derive(Debug)]
pub struct Screen<W> {
    out: W,
    is_terminal: bool,
}

/// Standard output.
pub fn stdout() -> Screen<io::Stdout> {
    let out = io::stdout();
    Screen { is_terminal: out.is_terminal(), out }
}

/// Standard error.
pub fn stderr() -> Screen<io::Stderr> {
    let out = io::stderr();
    Screen { is_terminal: out.is_terminal(), out }
}

impl<W: Write> Screen<W> {
    /// Text for one cell of a table, as wide as it will be shown.
    pub(super) fn cell<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if self.is_terminal { visible_line(text) } else { Cow::Borrowed(text) }
    }

    #[cfg(test)]
    pub(super) fn new(out: W, is_terminal: bool) -> Self {
        Self { out, is_terminal }
    }

    #[cfg(test)]
    pub(super) fn into_inner(self) -> W {
        self.out
    }
}

impl<W: Write> Write for Screen<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.is_terminal {
            return self.out.write(bytes);
        }
        // What is formatted arrives in whole characters.
        let text = String::from_utf8_lossy(bytes);
        self.out.write_all(visible(&text).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(is_terminal: bool) -> Vec<u8> {
        let mut screen = Screen::new(Vec::new(), is_terminal);
        writeln!(screen, "AA \u{1b}]0;pwn\u{7}\tBB").unwrap();
        screen.into_inner()
    }

    #[test]
    fn only_a_terminal_is_spared() {
        assert_eq!(printed(true), b"AA \\u{1b}]0;pwn\\u{7}\tBB\n");
        assert_eq!(printed(false), b"AA \x1b]0;pwn\x07\tBB\n");
    }
}
