//! Real MCP clients, each with our server on the real Codex CLI. Only the models are stand-ins: the client's
//! own, and the one of the Codex behind us. `just clients` runs it.

#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and starts what it likes"
)]

mod agents;
mod claude_tasks;
mod conformance;
mod fuzzer;
mod inspector;
mod plugin;
mod provider;
mod sdks;
mod set_up;
mod world;
