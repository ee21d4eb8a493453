//! Builds the MCP server from the settings and serves one client with it.

use std::path::Path;

use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Environment, ServerError};
use crate::{
    codex::{Codex, CodexConfig, SearchPath},
    config::{self, Compat, Config, DatabaseUrl, Resolved, StoreKind},
    mcp::{McpConfig, Server, tool_names},
    serve::{self, Shutdown},
    session::{
        McpServers, Notifier, Presence, RolloutConfig, RolloutKey, Served, ServerRecord,
        SessionConfig, Sessions, Settings, Tenant,
        store::{PostgresPool, StoreConfig},
    },
};

/// Checks that every tool the operator chose exists.
///
/// # Errors
/// [`ServerError::UnknownTool`] with the first that does not.
pub fn check_tools(resolved: &Resolved) -> Result<(), ServerError> {
    let known = tool_names();
    match resolved.config.tools.iter().find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => {
            let origin = resolved.origins.get("tools");
            let files = origin.map_or_else(|| "tools".to_owned(), |(_, files)| files.clone());
            Err(ServerError::UnknownTool { files, name: name.clone() })
        }
    }
}

/// Serves one client over standard input and output until it leaves or `shutdown` is asked for.
///
/// # Errors
/// [`ServerError`].
pub async fn serve_stdio(
    config: Config,
    environment: Environment,
    shutdown: Shutdown,
) -> Result<(), ServerError> {
    let (hook, variables) = (config.notify.command.clone(), environment.for_children(&config));
    let environment = connected(environment, &config)?;
    let (record, kept) = (presence(&config, "stdio"), store(&config, &environment).ok());
    let server = server(config, environment, shutdown.at_once.clone())?;
    let notifier = Notifier::start(hook, variables, server.sessions());
    let shown = Served::one(None, server.sessions());
    let presence = Presence::start(kept, record, shown, None, shutdown.asked.clone());
    let ended = serve::serve(server, shutdown).await;
    notifier.finish().await;
    if let Some(presence) = presence {
        presence.finish().await;
    }
    Ok(ended?)
}

pub(super) fn server(
    config: Config,
    mut environment: Environment,
    force_kill: CancellationToken,
) -> Result<Server, ServerError> {
    let tasks = TaskTracker::new();
    let is_kept = config.store.kind != StoreKind::Memory;
    let worktrees = environment.own_state().filter(|_| is_kept);
    let worktrees = worktrees.map(|state| state.join("worktrees"));
    let images = environment.own_state().map(|state| state.join("images"));
    let git = environment.git();
    let reaper = environment.reaper();
    let variables = environment.codex_variables.take();
    let variables = variables.unwrap_or_else(|| environment.for_children(&config));
    let runner = match &environment.tenant {
        Some(_) => "tenant".to_owned(),
        None => serve::host::runner(&config, &variables),
    };
    let environment = connected(environment, &config)?;
    let store = store(&config, &environment)?;
    let is_apart = !environment.launcher.is_empty();
    let codex = Codex::new(
        CodexConfig {
            search: SearchPath {
                binary: config.codex.bin,
                path: environment.path,
                home: environment.home,
            },
            idle: config.codex.idle.0,
            timeout: config.codex.timeout.0,
            force_kill,
            codex_home: environment.codex_home,
            launcher: environment.launcher,
            label: environment.tenant.as_ref().map(Tenant::as_str).unwrap_or_default().into(),
            strict: environment.tenant.is_some(),
            api_key: environment.api_key,
            processes: environment.processes,
            variables,
            reaper,
        },
        tasks.clone(),
    );
    let rollouts = rollouts(&config.store, &environment.directory, is_apart)?;
    let defaults = Settings::from(&config.defaults);
    let directory = match config.defaults.working_directory {
        Some(path) => environment.directory.join(path),
        None => environment.directory,
    };
    let sessions = SessionConfig {
        tenant: environment.tenant,
        apart: is_apart,
        is_shared: config.store.kind == StoreKind::Postgres,
        release_after: config.codex.release_after.0,
        session: config.session,
        turn: config.turn.clone(),
        defaults,
        directory,
        runner,
        machine: machine(config.store.machine),
        rollouts,
        path_map: config.store.path_map,
        git,
        worktrees,
        images: images.filter(|_| !is_apart),
        limits: config.limits.clone(),
        mcp_servers: config.codex.mcp_servers.map_or(McpServers::All, McpServers::Only),
    };
    let sessions = Sessions::new(codex, store, sessions, tasks);
    let mcp = McpConfig {
        tools: config.tools,
        max_text: config.limits.result_characters,
        turn: config.turn,
        client_limit: environment.client_limit,
        is_vendor: config.compat == Some(Compat::Vendor),
        is_structured: config.results.structured,
        callback_uri: config.defaults.callback_uri,
    };
    Ok(Server::new(sessions, &mcp))
}

/// What a server of this kind says of itself.
pub(super) fn presence(config: &Config, kind: &str) -> ServerRecord {
    ServerRecord::of_this_process(kind, machine(config.store.machine.clone()))
}

/// What this machine is called.
fn machine(named: Option<String>) -> String {
    named.or_else(sysinfo::System::host_name).unwrap_or_else(|| "this machine".to_owned())
}

/// How histories are kept. They are not where Codex runs as somebody else, whose files this server neither reads nor
/// writes.
pub(super) fn rollouts(
    store: &config::Store,
    directory: &Path,
    is_apart: bool,
) -> Result<Option<RolloutConfig>, ServerError> {
    let is_wanted = store.keep_rollouts.unwrap_or(store.kind == StoreKind::Postgres);
    if !is_wanted || is_apart {
        return Ok(None);
    }
    let key = store.rollout_key.as_ref().map(|path| RolloutKey::read(&directory.join(path)));
    Ok(Some(RolloutConfig { limit: store.rollout_bytes, key: key.transpose()? }))
}

/// With the database that the settings name, which all that this process serves share.
pub(super) fn connected(
    environment: Environment,
    config: &Config,
) -> Result<Environment, ServerError> {
    if environment.database.is_some() || config.store.kind != StoreKind::Postgres {
        return Ok(environment);
    }
    let url = config.store.url.as_ref().ok_or(ServerError::NoDatabase)?;
    let listen = config.store.listen_url.as_ref().map(DatabaseUrl::as_str);
    Ok(Environment { database: Some(PostgresPool::new(url.as_str(), listen)?), ..environment })
}

pub(super) fn store(
    config: &Config,
    environment: &Environment,
) -> Result<StoreConfig, ServerError> {
    if config.store.kind == StoreKind::Postgres {
        let database = connected(environment.clone(), config)?.database;
        let tenant = environment.tenant.as_ref().map(Tenant::as_str).unwrap_or_default();
        return match database {
            Some(database) => Ok(StoreConfig::Postgres(database, tenant.to_owned())),
            None => Err(ServerError::NoDatabase),
        };
    }
    Ok(match (config.store.kind, &config.store.path, environment.own_state()) {
        (StoreKind::Memory, _, _) => StoreConfig::Memory,
        (StoreKind::Sqlite | StoreKind::Postgres, Some(path), _) => {
            StoreConfig::Sqlite(environment.directory.join(path))
        }
        (StoreKind::Sqlite, None, Some(state)) => {
            StoreConfig::Sqlite(state.join("sessions.sqlite3"))
        }
        (StoreKind::Sqlite | StoreKind::Postgres, None, _) => {
            return Err(ServerError::NoStateFolder);
        }
    })
}
