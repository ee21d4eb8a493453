//! What SQLite has that PostgreSQL has not: a file that servers of one machine share, or memory that none shares.
//!
//! One connection per server; WAL. Each opened store is an owner, which holds a lock on a file of its own for as long as its
//! process lives: so the others can tell the dead from the slow without waiting.

#[cfg(test)]
mod damage;
mod open;
mod words;
