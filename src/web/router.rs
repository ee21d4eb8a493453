//! All paths of the page and of its API.

use axum::{
    Router,
    middleware::from_fn,
    routing::{get, post},
};

use super::{approvals, assets, events, needs, sessions, usage, work};

/// The page at `/ui/` and the API at `/api/v1/`. Needs a [`super::Viewer`] in each request to the API.
pub fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let api = Router::new()
        .route("/sessions", get(sessions::list))
        .route("/sessions/{name}", get(sessions::one).delete(work::delete))
        .route("/sessions/{name}/turns", get(sessions::turns).post(work::ask))
        .route("/sessions/{name}/turns/{number}", get(sessions::turn))
        .route("/sessions/{name}/events", get(events::of_session))
        .route("/sessions/{name}/interrupt", post(work::interrupt))
        .route("/sessions/{name}/steer", post(work::steer))
        .route("/sessions/{name}/fork", post(work::fork))
        .route("/approvals", get(approvals::list))
        .route("/approvals/{id}", post(approvals::answer))
        .route("/usage", get(usage::usage))
        .route("/events", get(events::of_all))
        .route_layer(from_fn(needs::check));
    Router::new()
        .route("/ui/", get(assets::index))
        .route("/ui/{file}", get(assets::file))
        .nest(needs::API, api)
}
