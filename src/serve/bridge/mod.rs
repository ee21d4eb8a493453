//! The bridge: what a client starts. It finds the user's host, introduces its client, and passes lines on.
//!
//! [`mod@relay`] is the bridge at work, in a process that has nothing else in it: one loop over an [`line_reader`] and an
//! [`send_queue`] for each side. It outlives its host: [`open_calls`] knows what the client waits for, so that another
//! host can go on, and [`channel`] is the way to whoever serves. [`terminal`] is the way of our own command line.

mod channel;
mod line_reader;
mod open_calls;
mod relay;
mod send_queue;
mod terminal;

pub use relay::{BridgeConfig, BridgeError, relay};
pub use terminal::connect_terminal;
