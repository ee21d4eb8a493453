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
mod big;
mod busy;
mod command_line;
mod configuration;
mod continuity;
mod conversation;
mod docs;
mod doctor;
mod escapes;
mod exec;
mod extras;
mod failures;
mod handing_back;
mod handshake;
mod helping;
mod input;
mod kills;
mod limits;
mod logging;
mod migrating;
mod operator;
mod packaging;
mod parallel;
mod processes;
mod progress;
mod results;
mod review;
mod rubbish;
mod settings;
mod setup;
mod shared_store;
mod stopping;
mod store_trouble;
mod support;
mod tidy;
mod usage;
mod versions;
mod websearch;
mod wire_schema;
