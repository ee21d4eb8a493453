//! Our own command line as a client of a host.

use std::io;

use tokio::{io::BufReader, net::UnixStream, time::timeout};

use crate::serve::{
    Streams,
    host::{Ask, ClientAbout, Hello, HostFiles, WELCOME_LIMIT, Welcome, introduce},
};

/// Connects our own command line to the host at a files.
///
/// # Errors
/// If the host does not serve it.
pub async fn connect_terminal(files: &HostFiles, client: ClientAbout) -> io::Result<Streams> {
    let hello = Hello { key: Some(files.key().clone()), ask: Ask::Serve(client) };
    let connected = timeout(WELCOME_LIMIT, async {
        let (reader, mut writer) = UnixStream::connect(files.socket()).await?.into_split();
        let mut reader = BufReader::new(reader);
        match introduce(&hello, &mut reader, &mut writer).await? {
            Welcome::Served { .. } => Ok(Streams::new(reader, writer)),
            Welcome::Refused(reason) => Err(io::Error::other(reason)),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    });
    connected.await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}
