//! What Codex asks while a turn runs, and the answer each question takes.
//!
//! [`question`] says it for people, [`wire`] knows how Codex puts it and in which form it wants the
//! answer. Whoever drops a question unanswered has declined it: Codex always gets exactly one answer
//! (a JSON-RPC error instead would hang the turn in 0.75 and 0.87).

mod question;
mod wire;

pub use question::{Answer, Decision, InputField, Question, QuestionId, Subject};
pub(crate) use wire::{Asked, parse};
