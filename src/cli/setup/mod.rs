//! `setup`: registers this server with a client.
//!
//! [`known`] says which clients there are, where their configuration is and how an entry looks there;
//! [`edit`] puts an entry into such a file or takes it out and leaves everything else as it is;
//! [`change`] is such a file before and after; [`apply`] shows what would change, asks, and does it, by the
//! client's own command where there is one.

mod apply;
mod change;
mod edit;
mod error;
mod known;
mod lines;
mod remote;

pub use apply::SetupArgs;
pub use error::SetupError;
