//! The page for the user of this machine: shown by the host whose sessions are wanted, else by a server in this process.

use std::fmt;

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Environment, ServerError, terminal::serve_here};
use crate::{
    config::Config,
    serve::{
        Shutdown,
        page::{Page, PageKeys},
    },
};

/// An address to open in a browser. It is good once.
pub struct PageUrl(String);

impl fmt::Debug for PageUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PageUrl")
    }
}

impl PageUrl {
    /// To print or to open.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Shows the page on loopback, on this port if it is not 0, until `shutdown` asks for the end. `ready` is told the address
/// once.
///
/// # Errors
/// [`ServerError`].
pub async fn serve_page(
    config: Config,
    environment: Environment,
    shutdown: Shutdown,
    port: u16,
    mut ready: impl FnMut(&PageUrl),
) -> Result<(), ServerError> {
    let secret = || Uuid::new_v4().simple().to_string();
    let code = secret();
    let mut keys = PageKeys { port, cookie: secret() + &secret(), code: Some(code.clone()) };
    let mut told = |port: u16| ready(&PageUrl(format!("http://127.0.0.1:{port}/?code={code}")));
    #[cfg(unix)]
    host::show(&config, &environment, &shutdown, &mut keys, &mut told).await?;
    if shutdown.asked.is_cancelled() {
        return Ok(());
    }
    let ending = shutdown.asked.clone();
    let page = Page::bind(keys).await.map_err(ServerError::Page)?;
    told(page.port());
    serve_here(config, environment, shutdown, async |sessions, streams| {
        // Whoever would be its client says nothing.
        let _streams = streams;
        page.serve(sessions, CancellationToken::new(), ending).await;
    })
    .await
}

/// The page of a host.
#[cfg(unix)]
mod host {
    use std::time::Duration;

    use tokio::time::sleep;

    use crate::{
        app::{Environment, ServerError, hosting::page_host, server::store},
        config::Config,
        serve::{
            Shutdown,
            page::{PageKeys, host_page},
        },
        session::store::StoreConfig,
    };

    /// The pause before another host is looked for.
    const PAUSE: Duration = Duration::from_millis(300);

    /// How often a host is asked before the address is known.
    const ATTEMPTS: u32 = 5;

    /// Has the host show the page whose sessions are wanted, and another one once that has ended, until `shutdown` asks
    /// for the end. Returns before only if no host can be had.
    pub(super) async fn show(
        config: &Config,
        environment: &Environment,
        shutdown: &Shutdown,
        keys: &mut PageKeys,
        told: &mut impl FnMut(u16),
    ) -> Result<(), ServerError> {
        let (mut is_told, mut attempts) = (false, 0);
        let store = store(config, environment)?;
        while store != StoreConfig::Memory && !shutdown.asked.is_cancelled() {
            let Some(socket) = page_host(config.clone(), environment, &store.to_string()) else {
                return Ok(());
            };
            let was_told = is_told;
            let mut port = keys.port;
            let there = |bound| {
                (port, is_told) = (bound, true);
                if !was_told {
                    told(bound);
                }
            };
            let shown = host_page(&socket, keys.clone(), &shutdown.asked, there).await;
            keys.port = port;
            match shown {
                // The host has ended. Another one shows the same page at the same address.
                Ok(is_entered) => drop(keys.code.take_if(|_| is_entered)),
                // It may just be about to end.
                Err(_) if !is_told && attempts < ATTEMPTS => attempts += 1,
                Err(error) if !is_told => return Err(ServerError::NoPage(error)),
                Err(error) => {
                    tracing::error!(error = &error as &dyn std::error::Error, "no page yet");
                }
            }
            let _ = shutdown.asked.run_until_cancelled(sleep(PAUSE)).await;
        }
        Ok(())
    }
}
