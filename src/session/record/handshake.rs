//! What a client has said of itself when it began, as it is kept.

use jiff::Timestamp;

/// A handshake that other servers may have to know of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandshakeRecord {
    /// What its client names it by.
    pub id: String,
    /// Who alone may go on with it.
    pub owner: String,
    /// What was said, in whatever form.
    pub said: String,
    /// When it is forgotten.
    pub expires_at: Timestamp,
}

/// What a client has sent to one server and is for another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardedMessage {
    /// The MCP session it belongs to.
    pub mcp_session: String,
    /// The message; `None` if the client has ended the session.
    pub message: Option<String>,
}
