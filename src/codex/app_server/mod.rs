//! `codex app-server`: one warm child for everybody.
//!
//! [`Codex`] is the handle the hall holds; it keeps at most one [`Connection`], starts it when it is
//! needed, stops it when it has been idle, and starts it again, with growing pauses, after it died. A
//! [`Connection`] is one child from its handshake to its end; it routes what Codex tells to the
//! [`Turn`](super::Turn) it belongs to. An [`AppThread`] belongs to one connection and ends with it.

mod connection;
mod launch;
mod questions;
mod refusal;
mod routes;
mod supervise;
mod thread;

pub(crate) use connection::Connection;
pub use launch::{CodexConfig, Found};
pub use questions::{Defaults, Login, Model, ThreadFilter, ThreadInfo};
pub(crate) use routes::{Told, Unanswered};
pub use supervise::Codex;
pub(crate) use thread::AppThread;
