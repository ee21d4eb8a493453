//! The page on which a person sees what all agents do, and answers what they ask: a documented JSON API (`docs/api.md`)
//! and the static files that use it. Knows the core alone; who may see which sessions is for those to say who put it behind
//! an address.
//!
//! [`router()`] has all paths. [`viewer`] is who looks, put into each request by whoever serves it. [`sessions`],
//! [`work`], [`approvals`], [`usage`] and [`events`] are the API, [`views`] what it shows, [`markdown`] makes answers
//! safe to show, [`assets`] are the files, [`needs`] says what a viewer must be allowed to do, [`guard`] keeps other pages out.

mod approvals;
mod assets;
mod events;
mod failure;
mod guard;
mod markdown;
mod needs;
mod router;
mod sessions;
mod usage;
mod viewer;
mod views;
mod work;

pub use failure::Said;
pub use guard::protect;
pub use router::router;
pub use viewer::Viewer;
