//! Sessions in a SQLite file, shared by any number of servers on one machine.
//!
//! WAL, one connection per server, every multi-step method one `IMMEDIATE` transaction. Each opened store is an
//! owner, which holds a lock on a file of its own for as long as its process lives: so the others can tell the
//! dead from the slow without waiting.

mod approvals;
mod control;
mod coordination;
#[cfg(test)]
mod damage;
mod eviction;
mod handshakes;
mod lease;
mod open;
mod owner;
mod queue;
mod rollouts;
mod sessions;
mod tokens;
mod write;

pub use open::SqliteStore;
