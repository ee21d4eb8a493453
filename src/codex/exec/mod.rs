//! `codex exec --json`: one process per turn, for Codex 0.50 to 0.71, whose app-server lacks what we need.
//!
//! [`arguments`] says a turn on the command line, [`events`] reads what comes back, [`run`] is the
//! process, [`home`] looks into Codex's own folder for what such a Codex cannot be asked. The prompt goes
//! through stdin, never through an argument; an id never begins with a dash.

mod arguments;
mod events;
mod home;
mod run;
mod thread;

pub(super) use home::defaults;
pub(super) use thread::ExecThread;
