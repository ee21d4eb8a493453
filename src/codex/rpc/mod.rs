//! JSON-RPC with the app-server: one JSON value per line, either side may ask.
//!
//! [`connect`] takes any reader and writer (a child's pipes in production, a duplex in tests) and
//! yields a [`Peer`] to ask with and a receiver of what the other side says by itself. The reader
//! never waits for whoever is asked or told: see [`connect`] for what happens under pressure.
//!
//! It knows nothing of methods, threads or processes.

mod codec;
mod message;
mod peer;
mod pending;

pub(crate) use message::{Incoming, RequestId};
pub(crate) use peer::{Peer, RpcError, connect};
