//! The operator's settings: layers, checked, each value with its origin.
//!
//! The layers are defaults, the configuration file, the environment and flags; later ones win. Every layer
//! is checked by itself, so an error names the place of the mistake. Unknown keys are errors. Knows nothing of
//! what the settings do.

mod declared;
mod http;
mod layers;
mod places;
mod schema;
mod settings;
mod store;

pub(crate) use declared::{setting, settings};
pub use http::{HttpSettings, JwtSettings, TenantSettings};
pub use layers::{ConfigError, Flags, Resolved, Variables, resolve, secret_variables};
pub use schema::schema;
pub use settings::{Compat, Config, HostMode, Log, LogFormat};
pub use store::{DatabaseUrl, Store, StoreKind};
