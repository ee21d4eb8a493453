//! The fake model: OpenAI's Responses API over SSE, on loopback, answering by script.
//!
//! Each request is shown to a responder, which returns a [`Reply`]; [`script()`] is the responder most
//! tests use: the last user message says what the model shall do. Every request is kept and can be
//! read back with [`Model::requests`]. It knows nothing of Codex beyond what arrives on the wire.

mod reply;
mod request;
mod script;
mod serve;

pub use reply::Reply;
pub use request::ModelRequest;
pub use script::script;
pub use serve::Model;
