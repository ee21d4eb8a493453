//! What somebody who is not there might want to know.

mod command;

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Reply, record::ApprovalRecord};

pub use command::Notifier;

/// How much of an answer the operator's command is sent, in characters.
const EXCERPT: usize = 300;

/// Something that happened in a detached turn.
#[derive(Debug, Clone)]
pub enum Notice {
    /// It is over.
    Ended(Arc<Reply>),
    /// Codex asks something and waits for an answer.
    ApprovalOpened(Arc<ApprovalRecord>),
}

impl Notice {
    /// What the operator's command is sent.
    fn payload(&self) -> Value {
        match self {
            Self::Ended(reply) => {
                let (session, turn) = (&reply.session, &reply.turn);
                let status = turn.status.as_str();
                let response: String = turn.response.chars().take(EXCERPT).collect();
                let directory = turn.details.effective.as_ref().map(|with| &with.working_directory);
                json!({
                    "event": "ended",
                    "sessionId": session,
                    "turn": turn.number,
                    "status": status,
                    "response": response,
                    "durationMs": turn.details.duration_ms,
                    "workingDirectory": directory,
                    "message": format!("Turn {} of session {session} is over: {status}.", turn.number),
                })
            }
            Self::ApprovalOpened(asked) => {
                let question = asked.approval.subject.in_short();
                json!({
                    "event": "asked",
                    "sessionId": asked.session,
                    "turn": asked.turn,
                    "approvalId": asked.approval.id,
                    "question": question,
                    "deadline": asked.deadline,
                    "message": format!("Session {} asks {question}.", asked.session),
                })
            }
        }
    }
}
