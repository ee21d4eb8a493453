//! Being a bridge, in the small program for that or in this one.

use std::{ffi::OsString, io};

use crate::{
    config::Log,
    serve::{
        Role,
        bridge::{BridgeConfig, BridgeError, relay},
    },
    telemetry,
};

/// Why a bridge ends.
#[derive(Debug, thiserror::Error)]
pub enum BridgeFailure {
    /// It was not started by this program.
    #[error("this is started by codex-mcp-server itself")]
    Arguments,
    /// It cannot do its work.
    #[error(transparent)]
    Bridge(#[from] BridgeError),
    /// No host would have it, and it could not become a server either.
    #[error("cannot start a server for this client")]
    Exec(#[source] io::Error),
}

/// Passes lines between a client and its host. The first of the arguments is the bridge's configuration, the others are
/// what the client started codex-mcp-server with.
///
/// # Errors
/// [`BridgeFailure`]. If no host would have the client, this process becomes a server of its own.
pub fn serve_bridge(arguments: &[OsString]) -> Result<(), BridgeFailure> {
    let (config, arguments) = arguments.split_first().ok_or(BridgeFailure::Arguments)?;
    let config = config.to_str().ok_or(BridgeFailure::Arguments)?;
    let config: BridgeConfig =
        serde_json::from_str(config).map_err(|_| BridgeFailure::Arguments)?;
    let (log, executable) = (config.log.clone(), config.executable.clone());
    // Not before it is needed: it is most of what a bridge would have in memory.
    let start_log = |log: &Log| drop(telemetry::start(log));
    match relay(config, arguments.to_vec(), start_log) {
        Err(reason @ BridgeError::NoHost { .. }) => {
            // The client has not been listened to yet, so another program can.
            start_log(&log);
            let reason: &dyn std::error::Error = &reason;
            tracing::warn!(reason, "this client has a server of its own");
            Err(BridgeFailure::Exec(Role::Server.take(&executable, arguments)))
        }
        ended => Ok(ended?),
    }
}
