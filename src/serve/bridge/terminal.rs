//! Our own command line as a client of a host.

use std::{io, time::Duration};

use tokio::{io::BufReader, net::UnixStream, time::timeout};

use crate::serve::{
    Streams,
    host::{Ask, ClientAbout, Hello, Place, Welcome, introduce},
};

/// How long a host may take to welcome it.
const WELCOME_LIMIT: Duration = Duration::from_secs(5);

/// Connects our own command line to the host at a place.
///
/// # Errors
/// If the host does not serve it.
pub async fn connect_terminal(place: &Place, client: ClientAbout) -> io::Result<Streams> {
    let hello = Hello { key: Some(place.key().clone()), ask: Ask::Serve(client) };
    let connected = timeout(WELCOME_LIMIT, async {
        let (reader, mut writer) = UnixStream::connect(place.socket()).await?.into_split();
        let mut reader = BufReader::new(reader);
        match introduce(&hello, &mut reader, &mut writer).await? {
            Welcome::Served { .. } => Ok(Streams::new(reader, writer)),
            Welcome::Refused(reason) => Err(io::Error::other(reason)),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    });
    connected.await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}
