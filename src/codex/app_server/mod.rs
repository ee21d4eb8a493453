//! `codex app-server`: one warm child that all threads share.
//!
//! A [`Connection`] is one child from its handshake to its end; it routes what Codex reports to the turn it
//! belongs to. An [`AppThread`] belongs to one connection and ends with it. This module does not know when a
//! child is started or replaced.

mod connection;
mod goals;
mod queries;
mod refusal;
mod thread;

pub(super) use connection::Connection;
#[cfg(test)]
pub(crate) use connection::script::Script;
pub(super) use queries::name_thread;
pub(super) use thread::AppThread;
