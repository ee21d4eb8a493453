//! What the operator wants: layers of settings, checked, with where each comes from.
//!
//! Defaults, then the configuration file, then the environment, then flags; the later wins. Every
//! layer is checked by itself, so a mistake is named with the place it was made in. Unknown keys are
//! mistakes.

mod layers;
mod schema;
mod settings;
mod span;

pub use layers::{ConfigError, Flags, Resolved, Variables, resolve};
pub use schema::schema;
pub(crate) use settings::OPTIONAL;
pub use settings::{
    CodexSettings, Compat, Config, Defaults, Limits, Log, LogFormat, Results, SessionSettings,
    Store, StoreKind,
};
pub use span::Span;
