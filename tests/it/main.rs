//! The whole program on the real Codex CLI: our binary as an MCP client starts it, the store on disk,
//! the protocol on its pipes. Only the model is a stand-in. One file per behaviour.

#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and starts what it likes"
)]

mod adopting;
mod approvals;
mod approvals_anywhere;
mod big;
mod blame;
#[cfg(unix)]
mod bounds;
mod busy;
mod command_line;
mod configuration;
mod continuity;
mod conversation;
mod deploying;
mod descent;
mod detaching;
mod docs;
mod doctor;
mod effective;
mod escapes;
mod exec;
mod extras;
mod failures;
mod fenced;
mod fuzz;
mod goals;
mod handshake;
mod helping;
#[cfg(unix)]
mod host_faults;
mod hostile_git;
#[cfg(unix)]
mod hosting;
mod http;
mod input;
mod kills;
mod limits;
mod listing;
mod logging;
mod machines;
mod migrating;
mod naming;
mod notifying;
mod operator;
mod packaging;
mod parallel;
mod plugin;
#[cfg(unix)]
mod processes;
mod progress;
mod projects;
mod queue;
mod recording;
mod resetting;
mod results;
mod review;
mod rubbish;
mod settings;
mod setup;
mod shared_store;
mod stopping;
mod store_trouble;
mod sub_agents;
mod support;
mod tasks;
mod tidy;
mod unasked;
mod usage;
mod versions;
mod websearch;
mod wire_schema;
mod worktrees;
