//! Asking a host for the page. It is there for as long as the connection is.

use std::{io, path::Path};

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::UnixStream,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::PageKeys;
use crate::serve::host::{Ask, Hello, WELCOME_LIMIT, Welcome, introduce};

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub enum PageRefused {
    /// The host cannot be reached, or does not know of pages.
    #[error("the host does not answer")]
    Host(#[from] io::Error),
    /// It has its reasons.
    #[error("the host serves no page: {0}")]
    Refused(String),
}

/// Has the host at this socket serve the page until `ending` is cancelled. `ready` is told the port. Returns when the host
/// has ended, and says whether the code was used.
///
/// # Errors
/// [`PageRefused`].
pub async fn host_page(
    socket: &Path,
    keys: PageKeys,
    ending: &CancellationToken,
    ready: impl FnOnce(u16),
) -> Result<bool, PageRefused> {
    let hello = Hello { key: None, ask: Ask::Page(keys) };
    let connected = timeout(WELCOME_LIMIT, async {
        let (reader, mut writer) = UnixStream::connect(socket).await?.into_split();
        let mut reader = BufReader::new(reader);
        let welcome = introduce(&hello, &mut reader, &mut writer).await?;
        Ok::<_, io::Error>((welcome, reader, writer))
    });
    let connected = connected.await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
    let (welcome, mut reader, _writer) = connected;
    match welcome {
        Welcome::Page { port } => ready(port),
        Welcome::Refused(reason) => return Err(PageRefused::Refused(reason)),
        _ => return Err(io::Error::from(io::ErrorKind::InvalidData).into()),
    }
    // It says one thing more: that the code was used.
    let mut is_entered = false;
    let mut line = String::new();
    while let Some(Ok(1..)) = ending.run_until_cancelled(reader.read_line(&mut line)).await {
        is_entered = true;
        line.clear();
    }
    Ok(is_entered)
}
