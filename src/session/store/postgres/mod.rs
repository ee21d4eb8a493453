//! What PostgreSQL has that SQLite has not: servers on other machines, who share one database, and all tenants in it.
//!
//! Leases are judged by the database's clock. No server can see whether one on another machine lives, so the leases of a dead
//! one end when they run out.

mod forwarded;
#[cfg(test)]
#[cfg(unix)]
mod indexed;
mod open;
mod servers;
mod words;

pub use open::{InvalidUrl, PostgresPool};
