//! The whole program on the real Codex CLI.

fn main() {}
