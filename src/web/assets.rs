//! The files of the page, as they were when this program was built.

use axum::{
    extract::Path,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const PICTURE: &str = "image/svg+xml";

/// Name, kind, text.
const FILES: &[(&str, &str, &str)] = &[
    ("index.html", HTML, include_str!("assets/index.html")),
    ("style.css", STYLE, include_str!("assets/style.css")),
    ("icon.svg", PICTURE, include_str!("assets/icon.svg")),
    ("main.js", SCRIPT, include_str!("assets/main.js")),
    ("api.js", SCRIPT, include_str!("assets/api.js")),
    ("dom.js", SCRIPT, include_str!("assets/dom.js")),
    ("list.js", SCRIPT, include_str!("assets/list.js")),
    ("session.js", SCRIPT, include_str!("assets/session.js")),
    ("items.js", SCRIPT, include_str!("assets/items.js")),
    ("turn.js", SCRIPT, include_str!("assets/turn.js")),
    ("approvals.js", SCRIPT, include_str!("assets/approvals.js")),
    ("tree.js", SCRIPT, include_str!("assets/tree.js")),
    ("usage.js", SCRIPT, include_str!("assets/usage.js")),
    ("highlight.js", SCRIPT, include_str!("assets/vendor/highlight.js")),
];

/// The page itself.
pub(super) async fn index() -> Response {
    find("index.html")
}

/// One of its files.
pub(super) async fn file(Path(name): Path<String>) -> Response {
    find(&name)
}

fn find(name: &str) -> Response {
    match FILES.iter().find(|(known, ..)| *known == name) {
        Some((_, kind, text)) => {
            // What is shown changes with the program alone, and asking again costs nothing on loopback.
            let kept = if *kind == HTML { "no-store" } else { "no-cache" };
            ([(header::CONTENT_TYPE, *kind), (header::CACHE_CONTROL, kept)], *text).into_response()
        }
        None => (StatusCode::NOT_FOUND, "There is no such file.\n").into_response(),
    }
}
