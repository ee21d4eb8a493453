//! Sessions in a SQLite file, shared by any number of servers on one machine.
//!
//! WAL, one connection per server, every multi-step verb one `IMMEDIATE` transaction. A lease belongs
//! to an owner, which is one opened store; an owner holds a lock on a file of its own for as long as
//! its process lives, so the others can tell the dead from the slow without waiting.

#[cfg(test)]
mod damage;
mod lease;
mod open;
mod owner;
mod queue;
mod room;
mod rows;
mod statements;

pub use open::SqliteStore;
