//! The first line on a connection to a host, and its answer. After a welcome the connection is the client's own, and
//! carries MCP and nothing else.

use std::{
    io,
    os::unix::net::UnixStream,
    path::PathBuf,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::Key;
use crate::serve::page::PageKeys;

/// The longest first line, in bytes; a path may be long.
const LONGEST: u64 = 64 * 1024;

/// How long a host may take to welcome a client.
pub(in crate::serve) const WELCOME_LIMIT: Duration = Duration::from_secs(5);

/// What a bridge says first.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::serve) struct Hello {
    /// The host it is looking for; the file name has only the beginning of it.
    pub(in crate::serve) key: Option<Key>,
    pub(in crate::serve) ask: Ask,
}

/// What it wants.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::serve) enum Ask {
    /// To be served.
    Serve(ClientAbout),
    /// To show its sessions in a browser, for as long as the connection is there.
    Page(PageKeys),
    /// To know how the host is.
    Status,
    /// That it ends; with turns that run only if forced.
    Stop {
        /// Whether to interrupt turns that run.
        force: bool,
    },
}

/// The client behind a bridge.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClientAbout {
    /// Where it works.
    pub directory: PathBuf,
    /// How long it waits for a call, if its environment says.
    pub limit: Option<Duration>,
    /// Whether it is our own command line.
    pub is_terminal: bool,
}

/// What a host answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::serve) enum Welcome {
    /// The connection is the client's.
    Served {
        /// The host's process.
        pid: u32,
    },
    /// The page is there.
    Page {
        /// On this port of loopback.
        port: u16,
    },
    /// The code of the page was used.
    Entered,
    /// How the host is.
    Status(HostStatus),
    /// It ends.
    Stopping(HostStatus),
    /// It does not end, because turns run.
    Busy(HostStatus),
    /// It would not, for this reason.
    Refused(String),
}

/// How a host is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HostStatus {
    pub pid: u32,
    pub version: String,
    /// The program it runs.
    pub executable: PathBuf,
    /// How many clients it serves.
    pub clients: usize,
    /// How many turns run or wait in it.
    pub running_turns: usize,
    pub log: PathBuf,
    /// Its socket. Empty if it is of an older version.
    #[serde(default)]
    pub socket: PathBuf,
    /// Where it keeps its sessions.
    #[serde(default)]
    pub store: String,
}

/// Introduces a client, and returns the answer.
///
/// # Errors
/// If the host ends without one, or says something else.
pub(in crate::serve) async fn introduce(
    hello: &Hello,
    reader: &mut (impl AsyncBufRead + Unpin),
    writer: &mut (impl AsyncWrite + Unpin),
) -> io::Result<Welcome> {
    write_line(hello, writer).await?;
    read_line(reader).await
}

/// The same as [`introduce`] for a program without a runtime. Reads nothing past the answer.
///
/// # Errors
/// If the host ends without one, takes longer than `limit`, or says something else.
pub(in crate::serve) fn introduce_now(
    hello: &Hello,
    stream: &mut UnixStream,
    limit: Duration,
) -> io::Result<Welcome> {
    let deadline = Instant::now() + limit;
    stream.set_read_timeout(Some(limit))?;
    stream.set_write_timeout(Some(limit))?;
    let mut line = serde_json::to_vec(hello)?;
    line.push(b'\n');
    io::Write::write_all(stream, &line)?;
    let mut answer = Vec::new();
    for byte in io::Read::bytes(io::Read::take(stream, LONGEST)) {
        if Instant::now() > deadline {
            return Err(io::ErrorKind::TimedOut.into());
        }
        match byte? {
            b'\n' => return Ok(serde_json::from_slice(&answer)?),
            byte => answer.push(byte),
        }
    }
    Err(io::ErrorKind::UnexpectedEof.into())
}

/// Writes one line.
pub(super) async fn write_line(
    message: &impl Serialize,
    writer: &mut (impl AsyncWrite + Unpin),
) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    writer.write_all(&line).await?;
    writer.flush().await
}

/// Reads one line, and nothing after it.
pub(super) async fn read_line<T: DeserializeOwned>(
    reader: &mut (impl AsyncBufRead + Unpin),
) -> io::Result<T> {
    let mut line = Vec::new();
    reader.take(LONGEST).read_until(b'\n', &mut line).await?;
    if !line.ends_with(b"\n") {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(serde_json::from_slice(&line)?)
}
