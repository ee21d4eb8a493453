//! How clients reach the MCP server. Knows nothing of Codex or SQL.

mod lines;
mod message;
mod shutdown;
mod stdio;
mod transport;

pub use shutdown::{Shutdown, Signals};
pub use stdio::{ServeError, serve, serve_over};
pub use transport::{Reader, Writer};
