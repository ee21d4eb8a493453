//! Sessions in PostgreSQL, shared by any number of servers on any number of machines, and by all tenants.
//!
//! The tenant is part of every key and every statement. Who adds or removes sessions of a tenant locks the tenant's row
//! first, and everybody else the session's alone, so nobody waits in a circle. Leases are judged by the database's clock;
//! nobody can see whether a server on another machine lives, so those of a dead one end when they run out.

mod approvals;
mod control;
mod coordination;
mod eviction;
mod forwarded;
mod handshakes;
mod hints;
#[cfg(test)]
#[cfg(unix)]
mod indexed;
mod lease;
mod open;
mod queue;
mod rollouts;
mod servers;
mod sessions;
mod tokens;
mod write;

pub use open::{InvalidUrl, PostgresPool, PostgresStore};
