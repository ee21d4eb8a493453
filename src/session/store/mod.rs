//! Where sessions are kept, and how the servers that share them keep out of each other's way.
//!
//! [`SessionStore`] is what is kept, [`Coordination`] is leases, queues, control messages and approvals. [`SqlStore`] is
//! both, for SQLite and PostgreSQL, and passes one contract test and one model-based test on each. The methods carry the
//! atomicity. It knows nothing of Codex, of tasks, or of the time of day, which is an argument; leases are judged by
//! [`StoreClock`].

mod clock;
#[cfg(test)]
mod contract;
mod coordination;
mod error;
mod hints;
mod lazy;
#[cfg(test)]
mod model;
mod page;
mod postgres;
#[cfg(test)]
mod reference;
mod registry;
mod rows;
mod sessions;
mod sql;
mod sqlite;

pub use clock::StoreClock;
pub use coordination::{
    Activity, AdoptedTurn, Ahead, Change, Claim, ControlMessage, ControlOutcome, Coordination,
    Hint, Inbox, Lease, MessageId, Promise,
};
pub use error::StoreError;
pub use lazy::{LazyStore, StoreConfig};
pub use page::{Cursor, Excerpt, Listing, Page};
pub use postgres::{InvalidUrl, PostgresPool};
#[cfg(test)]
pub use reference::ReferenceStore;
pub use sessions::{CopiedTurns, Created, DailyUsage, Outcomes, Renamed, SessionStore, Turns};
pub use sql::SqlStore;

/// Both traits.
pub trait Store: SessionStore + Coordination {}

impl<T: SessionStore + Coordination> Store for T {}
