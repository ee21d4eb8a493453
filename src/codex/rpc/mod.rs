//! JSON-RPC with the app-server: one JSON value per line, either side may send requests.
//!
//! [`connect`] takes any reader and writer (a child's pipes in production, a duplex in tests) and
//! returns a [`Peer`] for our requests. A [`Listener`] is given the other side's requests and
//! notifications, as they are read and in order; it must not wait, so that nothing ever holds back the
//! answers to our own requests.
//!
//! It knows nothing of methods, threads or processes.

mod codec;
mod error;
mod message;
mod peer;
mod pending;

pub(crate) use error::RpcError;
pub(crate) use message::{Incoming, RequestId};
pub(crate) use peer::{Listener, Peer, connect};
