//! What goes on between us and a client while a call is under way.
//!
//! [`Caller`] is who called and what they can do; [`follow()`] goes along with a turn until it is over,
//! must be handed back, or a question has to be asked; [`progress`] tells what happens; [`patience`]
//! knows how long a client waits; [`elicit`] puts Codex's questions to the user in both eras of MCP,
//! [`form`] in words.

mod caller;
mod elicit;
mod follow;
mod form;
mod patience;
mod progress;

pub(super) use caller::Caller;
pub(super) use elicit::Sealer;
pub(super) use follow::{Followed, follow, resume};
pub use patience::TERMINAL;
