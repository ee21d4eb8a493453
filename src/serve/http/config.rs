//! What the server over HTTP is told by the program around it.

use std::{fmt, net::SocketAddr, sync::Arc};

use crate::config::HttpSettings;

/// How to serve over HTTP.
#[derive(Debug, Clone)]
pub struct HttpConfig {
    /// Where to listen.
    pub address: SocketAddr,
    /// Where to listen for who reads metrics. `None` for the same address.
    pub metrics_address: Option<SocketAddr>,
    /// The operator's settings, with the hosts that are allowed.
    pub settings: HttpSettings,
    /// The names of all tenants.
    pub tenants: Vec<String>,
}

/// Makes the text of all that was measured.
#[derive(Clone)]
pub struct MetricsText(Arc<dyn Fn() -> String + Send + Sync>);

impl MetricsText {
    /// By calling `render`.
    pub fn new(render: impl Fn() -> String + Send + Sync + 'static) -> Self {
        Self(Arc::new(render))
    }

    /// The text as it is now.
    pub(super) fn render(&self) -> String {
        (self.0)()
    }
}

impl fmt::Debug for MetricsText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetricsText").finish_non_exhaustive()
    }
}
