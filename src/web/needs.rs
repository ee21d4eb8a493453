//! What each path of the API needs of its viewer: the one table, and the door that goes by it.
//!
//! A path that is not in the table is refused to everybody, so a new one cannot be open by mistake. The core checks again
//! what a viewer's handle may do.

use axum::{
    extract::{MatchedPath, Request},
    http::{Method, StatusCode},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{
    failure::{Failure, Said},
    viewer::Viewer,
};
use crate::session::Verb;

/// Where the API is.
pub(super) const API: &str = "/api/v1";

/// Method, path below `/api/v1`, and what is done there.
const NEEDS: &[(Method, &str, Verb)] = &[
    (Method::GET, "/sessions", Verb::Look),
    (Method::GET, "/sessions/{name}", Verb::Look),
    (Method::DELETE, "/sessions/{name}", Verb::Change),
    (Method::GET, "/sessions/{name}/turns", Verb::Look),
    (Method::POST, "/sessions/{name}/turns", Verb::Ask),
    (Method::GET, "/sessions/{name}/turns/{number}", Verb::Look),
    (Method::GET, "/sessions/{name}/events", Verb::Look),
    (Method::POST, "/sessions/{name}/interrupt", Verb::Interrupt),
    (Method::POST, "/sessions/{name}/steer", Verb::Steer),
    (Method::POST, "/sessions/{name}/fork", Verb::Change),
    (Method::GET, "/approvals", Verb::Look),
    (Method::POST, "/approvals/{id}", Verb::Answer),
    (Method::GET, "/usage", Verb::Look),
    (Method::GET, "/events", Verb::Look),
];

/// Refuses a request whose viewer may not do what its path does. One without a viewer is refused by what it asks for.
pub(super) async fn check(request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let path = path.and_then(|path| path.strip_prefix(API)).unwrap_or_default();
    let method = if request.method() == Method::HEAD { &Method::GET } else { request.method() };
    let verb = NEEDS.iter().find(|(known, at, _)| known == method && *at == path);
    let Some((.., verb)) = verb else {
        let said = Said {
            code: "not_found",
            message: "Nothing is done here.".to_owned(),
            next: "See `docs/api.md` for what there is.".to_owned(),
        };
        return Failure { status: StatusCode::METHOD_NOT_ALLOWED, said }.into_response();
    };
    let viewer = request.extensions().get::<Viewer>();
    match viewer.map_or(Ok(()), |viewer| viewer.allows(*verb)) {
        Ok(()) => next.run(request).await,
        Err(failure) => failure.into_response(),
    }
}
