//! The page in a real Chromium, over real sessions of the real Codex CLI.

#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and starts what it likes"
)]

mod apps;
mod door;
mod hostile;
mod inspector;
mod items;
mod live;
mod looks;
mod remote;
mod unfolded;
mod world;
