//! Why a request has no result.

use super::message::ErrorObject;

/// Why a request has no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RpcError {
    /// The other side may have read it and begun.
    #[error("the connection was closed before the answer")]
    Closed,
    /// The other side cannot have read it.
    #[error("the connection was closed before the request")]
    NotSent,
    #[error(transparent)]
    Refused(#[from] ErrorObject),
    #[error("cannot encode the request")]
    Encode(#[source] serde_json::Error),
}
