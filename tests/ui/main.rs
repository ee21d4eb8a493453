//! The page in a real Chromium, over real sessions of the real Codex CLI.

mod apps;
mod door;
mod hostile;
mod inspector;
mod live;
mod looks;
mod remote;
mod unfolded;
mod world;
