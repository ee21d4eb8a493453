//! The handle to Codex that the rest of the program holds.
//!
//! [`Codex`] answers questions about the installed Codex and opens threads. Underneath, [`slot`] keeps at
//! most one app-server: started when it is needed, stopped when it has been idle, started again, with
//! growing pauses, after it died. A Codex too old for that is driven by `codex exec`.

mod backoff;
mod handle;
mod slot;

pub use handle::Codex;
