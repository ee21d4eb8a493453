//! Bodies that come in, and streams that go out.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    http::StatusCode,
    response::Response,
};
use futures_util::StreamExt;
use http_body_util::{BodyExt, BodyStream, LengthLimitError, Limited, StreamBody};
use tokio::time::timeout;

use super::{app::App, auth::Refused, refusal::refused};

/// How often the token of a stream that only listens is looked at again.
const RECHECK: Duration = Duration::from_secs(20);

/// How long the body of a request may take.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// A stream that ends when the token that began it is good no more.
pub(super) fn while_good<B>(body: B, app: Arc<App>, token: String) -> Body
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    let over = async move {
        loop {
            tokio::time::sleep(RECHECK).await;
            match app.authenticator.principal(Some(&token)).await {
                Ok(_) | Err(Refused::Unavailable(_)) => {}
                Err(_) => return,
            }
        }
    };
    Body::new(StreamBody::new(BodyStream::new(body).take_until(Box::pin(over))))
}

/// All of a body, which must not be longer than this, nor take for ever.
pub(super) async fn read_body(body: Body, limit: usize) -> Result<Bytes, Response> {
    let refuse = |status, code, message: &str| {
        refused(status, code, message, "Send a whole JSON-RPC message as the body of a POST.")
    };
    match timeout(BODY_TIMEOUT, Limited::new(body, limit).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let words = format!("The body is longer than {limit} bytes.");
            Err(refuse(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", &words))
        }
        Ok(Err(_)) => {
            Err(refuse(StatusCode::BAD_REQUEST, "body_broken", "The body cannot be read."))
        }
        Err(_) => Err(refuse(
            StatusCode::REQUEST_TIMEOUT,
            "body_too_slow",
            "The body did not come in time.",
        )),
    }
}
