//! Serving the page on loopback.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
};

use axum::middleware::{from_fn, from_fn_with_state};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{
    door::{Door, PageKeys, guard},
    words::explained,
};
use crate::{
    mcp::Sessions,
    serve::peers::Peers,
    web::{self, Viewer},
};

/// A page that can be reached.
#[derive(Debug)]
pub struct Page {
    listener: TcpListener,
    keys: PageKeys,
}

impl Page {
    /// Listens on loopback.
    ///
    /// # Errors
    /// If that cannot be.
    pub async fn bind(mut keys: PageKeys) -> io::Result<Self> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, keys.port));
        let listener = TcpListener::bind(address).await?;
        keys.port = listener.local_addr()?.port();
        Ok(Self { listener, keys })
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.keys.port
    }

    /// Shows these sessions until `ending` is cancelled. Cancels `entered` when the code was used.
    pub async fn serve(
        self,
        sessions: Sessions,
        entered: CancellationToken,
        ending: CancellationToken,
    ) {
        let Self { listener, keys: PageKeys { port, cookie, code } } = self;
        let viewer = Viewer {
            sessions,
            name: "the page".to_owned(),
            directory: None,
            may_leave: false,
            ending: ending.clone(),
            explain: explained,
        };
        let (code, peers) = (Mutex::new(code), Peers::default());
        let door = Arc::new(Door { port, cookie, code, entered, viewer, peers });
        let router =
            web::router().layer(from_fn_with_state(door, guard)).layer(from_fn(web::protect));
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        let serving = axum::serve(listener, service);
        let ended = ending.run_until_cancelled(serving.into_future()).await;
        if let Some(Err(error)) = ended {
            tracing::warn!(%error, "the page is not served any more");
        }
    }
}
