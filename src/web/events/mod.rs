//! What happens, as it happens: server-sent events [of all sessions](all), and [of one](session) with its running turn.
//!
//! What other servers of the store do is seen by asking the store once a second; what this one does, at once. [`event`] puts
//! them on the wire.

mod all;
mod event;
mod session;

pub(super) use all::of_all;
pub(super) use session::of_session;
