//! The tools, one file each: input, output, description, call. [`list`] has all of them, [`tool`] says what
//! one is.

mod codex;
mod codex_reply;
mod delete_session;
mod fork_session;
mod get_session;
mod help;
mod interrupt;
mod list;
mod list_models;
mod list_sessions;
mod ping;
mod rename_session;
mod review;
mod run;
mod session_view;
mod steer;
mod tool;
mod turn_view;
mod usage;
mod wait;
mod websearch;
mod worktree;

pub(crate) use help::missing_in_words;
pub use list::{ToolSummary, tool_names, tool_summaries};
pub(super) use list::{Tools, verb_of};
pub(super) use tool::{Cx, Outcome};
pub(super) use turn_view::{outcome as progressed, over};

#[cfg(test)]
mod tests;
