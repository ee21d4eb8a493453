//! The approvals Codex asks for while a turn runs, and the form each answer takes.
//!
//! [`request`] describes them for people; [`wire`] knows how Codex sends them and which form it wants the
//! answer in. Codex always gets exactly one answer, because a JSON-RPC error would hang the turn in 0.75
//! and 0.87. This module does not know where an answer comes from, or when.

mod pending;
mod request;
mod wire;

pub(crate) use pending::PendingApproval;
pub use request::{Answer, Approval, ApprovalId, Decision, InputField, Subject};
pub(crate) use wire::{ApprovalRequest, parse};
