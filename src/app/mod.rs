//! Puts the parts together: the only place that knows them all, and holds no rule of its own.

#[cfg(unix)]
mod bridge;
mod environment;
mod error;
#[cfg(unix)]
mod hosting;
mod http;
mod page;
mod server;
mod terminal;

#[cfg(unix)]
pub use bridge::{BridgeFailure, serve_bridge};
pub use environment::Environment;
pub use error::{HttpRefused, ServerError};
#[cfg(unix)]
pub use hosting::{NotShared, become_bridge, find_host, host_folders, serve_host};
pub use http::{serve_http, servers, tokens};
pub use page::{PageUrl, serve_page};
pub use server::{check_tools, serve_stdio};
pub use terminal::{serve_here, serve_terminal};
