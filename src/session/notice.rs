//! What somebody who is not there might want to know.

use std::sync::Arc;

use super::{Reply, record::ApprovalRecord};

/// Something that happened in a detached turn.
#[derive(Debug, Clone)]
pub enum Notice {
    /// It is over.
    Ended(Arc<Reply>),
    /// Codex asks something and waits for an answer.
    ApprovalOpened(Arc<ApprovalRecord>),
}
