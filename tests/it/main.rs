//! The whole program on the real Codex CLI: our binary as an MCP client starts it, the store on disk,
//! the protocol on its pipes. Only the model is a stand-in. One file per behaviour.

mod conversation;
mod support;
