//! How clients reach the MCP server. Knows nothing of Codex or SQL.
//!
//! A [`connection`] serves one client over a pair of streams. On Unix, clients start a [`bridge`] to the user's
//! [`host`], which serves all of them; elsewhere, or where no host can be had, each has a server of its own.
//! [`http`] is for clients elsewhere, [`page`] for the user's browser. What a Codex of ours has started is no client of any
//! of them ([`peers`]).

#[cfg(unix)]
pub mod bridge;
mod connection;
#[cfg(unix)]
pub mod host;
pub mod http;
mod lines;
mod message;
pub mod page;
mod peers;
mod role;
mod shutdown;
mod streams;
mod transport;

pub use connection::{ServeError, serve, serve_over};
pub use page::in_one_line;
pub use role::Role;
#[cfg(unix)]
pub use role::replace;
pub use shutdown::{Asks, Shutdown, Signals};
pub use streams::Streams;
use streams::{Reader, Writer};
