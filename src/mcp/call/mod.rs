//! What goes on between us and a client while a call is under way.
//!
//! [`Caller`] is the client and what it can do. [`follow()`] follows a turn until it is over, must be handed
//! back, or a question has to be asked. [`given_up`] is about clients that cannot wait so long. [`progress`] reports what happens, [`timeout`] says how long a client
//! waits, [`task`] lets it ask later instead, [`elicit`] asks Codex's questions in both eras of MCP, and [`form`] puts them into words.

mod caller;
pub(super) mod elicit;
mod follow;
mod form;
mod given_up;
mod progress;
mod request_state;
mod task;
mod timeout;
mod trace;

pub(super) use caller::{Asker, CODEX, CallLimits, Caller, SANDBOX_STATE, shows_views};
pub(super) use follow::{CallProgress, CallState, follow, resume};
pub(super) use form::response;
pub use form::{approval_answer, approval_form};
pub(super) use given_up::CallInHand;
pub use given_up::{GivenUp, is_time_out};
pub(super) use request_state::RequestStateCodec;
pub(super) use task::TaskId;
pub use timeout::TERMINAL;
pub(super) use trace::join_trace;
