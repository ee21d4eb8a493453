//! Where sessions are kept, and how the servers that share them keep out of each other's way.
//!
//! [`SessionStore`] is what is kept, [`Coordination`] is leases, queues, control messages and approvals. Every back
//! end implements both and passes one contract test and one model-based test. The methods carry the atomicity.
//! A back end knows nothing of Codex, of tasks, or of the time of day, which is an argument; leases are judged by
//! [`StoreClock`].

mod clock;
#[cfg(test)]
mod contract;
mod coordination;
mod error;
mod lazy;
mod memory;
#[cfg(test)]
mod model;
mod page;
mod postgres;
mod rows;
mod sessions;
mod sqlite;

pub use clock::StoreClock;
pub use coordination::{
    Activity, Ahead, Change, Claim, ControlMessage, ControlOutcome, Coordination, Hint, Inbox,
    Lease, MessageId, Ticket,
};
pub use error::StoreError;
pub use lazy::{LazyStore, StoreConfig};
pub use memory::MemoryStore;
pub use page::{Cursor, Excerpt, Listing, Page};
pub use postgres::{InvalidUrl, PostgresPool, PostgresStore};
pub use sessions::{CopiedTurns, Created, DailyUsage, Outcomes, Renamed, SessionStore, Turns};
pub use sqlite::SqliteStore;

/// A back end: both traits.
pub trait Store: SessionStore + Coordination {}

impl<T: SessionStore + Coordination> Store for T {}
