//! Who serves a client: the user's host, which its clients share, or a process of the client's own.

use std::{ffi::OsString, io, path::PathBuf};

use super::{
    Environment, ServerError,
    environment::SMALL_PROGRAM,
    server::{connected, presence, server, store},
};
use crate::{
    config::{Config, ConfigError, HostMode, StoreKind},
    serve::{
        Role, Shutdown, Streams,
        bridge::{self, BridgeConfig},
        host::{
            self, ClientAbout, HostConfig, HostError, HostFiles, HostStatus, Identity, Key, Program,
        },
        replace,
    },
    session::{Lineage, Notifier, Presence, Served},
};

/// Why a client has a server of its own.
#[derive(Debug, thiserror::Error)]
pub enum NotShared {
    /// The operator wants it.
    #[error("`host.mode` is `off`")]
    Off,
    /// What Codex starts is no client.
    #[error("it was started by a Codex that this program runs")]
    Nested,
    /// Sessions in memory end with the server.
    #[error("`store.kind` is `memory`, which no other process sees")]
    InMemory,
    /// What it means depends on where a program is.
    #[error("`CODEX_HOME` is not an absolute path")]
    RelativeHome,
    /// A path among the settings cannot be passed on.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// No host can be had.
    #[error(transparent)]
    Host(#[from] HostError),
    /// This program could not be started again.
    #[error("this program could not be started as a bridge")]
    Exec(#[source] io::Error),
}

impl NotShared {
    /// Whether that is as somebody wanted it.
    pub fn is_wanted(&self) -> bool {
        matches!(self, Self::Off | Self::InMemory)
    }
}

/// Makes sure that there is a host for clients with this configuration and environment. Returns where it is.
///
/// # Errors
/// [`NotShared`].
pub fn find_host(config: Config, environment: &Environment) -> Result<HostFiles, NotShared> {
    let host = expected(config, environment)?;
    let Environment { executable, variables, .. } = environment;
    host::ensure(&host.files, &host, Program { executable, variables })?;
    Ok(host.files)
}

/// Makes this process a bridge to the host, which is started if there is none. `arguments` are what the client started
/// this program with. Returns only if it cannot be one.
pub fn become_bridge(
    config: Config,
    environment: &Environment,
    arguments: &[OsString],
) -> NotShared {
    let log = config.log.clone();
    let host = match expected(config, environment) {
        Ok(host) => host,
        Err(reason) => return reason,
    };
    let Environment { executable, variables, .. } = environment;
    // If nobody listens at its socket any more, the bridge finds out.
    if !host::may_be_there(&host.files)
        && let Err(reason) = host::ensure(&host.files, &host, Program { executable, variables })
    {
        return reason.into();
    }
    let files = host.files;
    let executable = environment.executable.clone();
    let client = ClientAbout {
        directory: environment.directory.clone(),
        limit: environment.client_limit,
        is_terminal: false,
    };
    let bridge = BridgeConfig { files, client, executable, log };
    // It has its own memory only once this process has none of what it took to get here.
    match serde_json::to_string(&bridge) {
        Ok(bridge) => {
            let arguments: Vec<_> =
                std::iter::once(bridge.into()).chain(arguments.iter().cloned()).collect();
            let own = environment.executable.with_file_name(SMALL_PROGRAM);
            if own.is_file() {
                // If it does not start, this program is as good.
                drop(replace(&own, &arguments));
            }
            NotShared::Exec(Role::Bridge.take(&environment.executable, &arguments))
        }
        Err(error) => NotShared::Exec(error.into()),
    }
}

/// Serves all clients of this user that connect to its socket.
///
/// # Errors
/// [`ServerError`].
pub async fn serve_host(
    host: HostConfig,
    environment: Environment,
    shutdown: Shutdown,
) -> Result<(), ServerError> {
    let config = &host.config;
    if !Lineage::of(None).is_trusted() {
        return Err(ServerError::Nested);
    }
    let variables = environment.for_children(config);
    let environment = connected(environment, config)?;
    let (record, kept) = (presence(config, "host"), store(config, &environment).ok());
    let server = server(config.clone(), environment, shutdown.at_once.clone())?;
    let notifier = Notifier::start(config.notify.command.clone(), variables, server.sessions());
    let shown = Served::one(None, server.sessions());
    let presence = Presence::start(kept, record, shown, None, shutdown.asked.clone());
    let ended = host::host(server, host, shutdown).await;
    notifier.finish().await;
    if let Some(presence) = presence {
        presence.finish().await;
    }
    Ok(ended?)
}

/// Where hosts of this user can be.
pub fn host_folders(environment: &Environment) -> Vec<PathBuf> {
    let state = environment.own_state();
    HostFiles::folders(environment.runtime_folder.as_deref(), state.as_deref())
}

/// The socket of a host whose sessions are those of this store: the one for clients started like this, any other that
/// runs, or a new one. `None` if none can be had.
pub(super) fn page_host(config: Config, environment: &Environment, store: &str) -> Option<PathBuf> {
    let own = expected(config.clone(), environment).ok()?.files;
    if host::is_there(&own) {
        return Some(own.socket());
    }
    let others = host::survey(&host_folders(environment)).hosts.into_iter();
    let same = |host: &HostStatus| {
        host.store == store && host.version == env!("CARGO_PKG_VERSION") && host.socket.exists()
    };
    if let Some(other) = others.filter(same).max_by_key(|host| host.clients) {
        return Some(other.socket);
    }
    Some(find_host(config, environment).ok()?.socket())
}

/// A connection of our own command line to the host, if one runs or `starts` says to start one.
pub(super) async fn terminal(
    config: Config,
    environment: &Environment,
    starts: bool,
) -> Option<Streams> {
    let files = if starts {
        find_host(config, environment).ok()?
    } else {
        expected(config, environment).ok()?.files
    };
    if !host::is_there(&files) {
        return None;
    }
    let directory = environment.directory.clone();
    let client = ClientAbout { directory, limit: None, is_terminal: true };
    match bridge::connect_terminal(&files, client).await {
        Ok(streams) => Some(streams),
        Err(error) => {
            tracing::debug!(%error, "the host does not serve");
            None
        }
    }
}

/// The host for clients with this configuration and environment, whether it runs or not.
fn expected(config: Config, environment: &Environment) -> Result<HostConfig, NotShared> {
    let Environment { directory, codex_home, executable, variables, runtime_folder, .. } =
        environment;
    if !Lineage::of(None).is_trusted() {
        return Err(NotShared::Nested);
    }
    match (config.host.mode, config.store.kind) {
        (HostMode::Off, _) => return Err(NotShared::Off),
        (_, StoreKind::Memory) => return Err(NotShared::InMemory),
        (HostMode::Auto, StoreKind::Sqlite | StoreKind::Postgres) if codex_home.is_relative() => {
            return Err(NotShared::RelativeHome);
        }
        (HostMode::Auto, StoreKind::Sqlite | StoreKind::Postgres) => {}
    }
    let config = config.absolute(directory)?;
    let standing = host::standing();
    let key = Key::of(&Identity { executable, config: &config, variables, standing: &standing });
    let state = environment.own_state();
    let files = HostFiles::new(key, runtime_folder.as_deref(), state.as_deref())?;
    Ok(HostConfig { files, config, executable: executable.clone() })
}
