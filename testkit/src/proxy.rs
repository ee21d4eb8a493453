//! A connection that can be cut: passes bytes to a port of loopback, until it is told not to.

use std::sync::Arc;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// What becomes of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// They pass.
    Up,
    /// They stay where they are: neither end hears of the other.
    Silent,
    /// Connections are closed, and there are no new ones.
    Cut,
}

/// Passes connections on.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    link: Arc<watch::Sender<Link>>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Passes on to this port.
    ///
    /// # Panics
    /// If there is no port to listen on.
    pub async fn to(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let link = Arc::new(watch::Sender::new(Link::Up));
        let links = Arc::clone(&link);
        let accepting = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let mut link = links.subscribe();
                tokio::spawn(async move {
                    // The system accepts what it can, whatever is wished.
                    if *link.borrow_and_update() == Link::Cut {
                        return;
                    }
                    let Ok(far) = TcpStream::connect(("127.0.0.1", target)).await else { return };
                    pass(near, far, link).await;
                });
            }
        });
        Self { port, link, accepting }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Changes what becomes of bytes from now on.
    pub fn set(&self, link: Link) {
        self.link.send_replace(link);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Until one end closes, or the link is cut.
async fn pass(near: TcpStream, far: TcpStream, mut link: watch::Receiver<Link>) {
    let (near_in, near_out) = near.into_split();
    let (far_in, far_out) = far.into_split();
    let (there, back) = (link.clone(), link.clone());
    tokio::select! {
        () = copy(near_in, far_out, there) => {}
        () = copy(far_in, near_out, back) => {}
        _ = link.wait_for(|link| *link == Link::Cut) => {}
    }
}

async fn copy(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    mut link: watch::Receiver<Link>,
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        if link.wait_for(|link| *link == Link::Up).await.is_err() {
            return;
        }
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
