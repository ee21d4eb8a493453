//! The hall: named conversations. Knows nothing of MCP, nor of SQL outside `store/`.
//!
//! [`Sessions`] is the handle everybody holds. Each session in use is an [`actor`] of its own, which
//! runs one turn at a time, records it before and after, and goes away when nobody needs it; what
//! stays is in the [`store`].

mod actor;
mod call;
mod config;
mod context;
mod elsewhere;
mod error;
mod fork;
mod limits;
mod model;
mod name;
mod output;
mod record;
mod request;
mod review;
mod sessions;
mod sources;
pub mod store;

pub use call::{Call, HandedBack, Place, Step, Update};
pub use config::{McpServers, SessionConfig};
pub use error::SessionError;
pub use fork::{ForkSource, Forked};
pub use limits::Limits;
pub use model::ModelSource;
pub use name::{InvalidName, SessionName};
pub use record::{
    Continuity, SessionRecord, SessionStatus, Settings, Stop, TurnDetails, TurnRecord,
};
pub use request::{OnBusy, Reply, Request, Work};
pub use review::Finding;
pub use sessions::{Change, Sessions, Transcript};
pub use sources::Source;
