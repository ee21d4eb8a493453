//! The host: one process of this user that serves all clients who would see the same from it.
//!
//! A client starts a bridge (see [`super::bridge`]), which finds the host by its [`key`] at a [`files`] in the file
//! system, [`start`]s it if there is none, and introduces its client with a [`hello`]. [`life`] serves them until
//! nobody is left. It knows of what is served only that each client has a server of its own
//! over the same sessions.

mod files;
mod hello;
mod key;
mod life;
mod standing;
mod start;
mod survey;

pub use files::{HostError, HostFiles};
pub(super) use hello::{Ask, Hello, WELCOME_LIMIT, Welcome, introduce, introduce_now};
pub use hello::{ClientAbout, HostStatus};
pub use key::{Identity, Key, runner};
pub use life::{HostConfig, host};
pub use standing::standing;
pub use start::{Program, ensure, is_there, may_be_there, start_and_leave};
pub use survey::{SilentHost, Stopped, Survey, stop, survey};
