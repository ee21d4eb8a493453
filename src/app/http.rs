//! Serving tenants over HTTP: for each its own store, Codex and limits, made when it is first needed.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use super::{
    Environment, HttpRefused, ServerError,
    server::{connected, presence, rollouts, server, store},
};
use crate::{
    codex::Processes,
    config::{Config, HttpSettings, TenantSettings},
    mcp::Server,
    serve::{
        Shutdown,
        http::{self, HttpConfig, MetricsText, NoTenant, Tenants},
    },
    session::{
        Handshakes, KnownServers, Notifier, Presence, Served, Servers, Tenant, Tokens,
        store::StoreConfig,
    },
    system::{missing_folders, private_folder},
    telemetry::Metrics,
};

/// The variables of this process that a tenant's Codex has as well. The rest may be the operator's secrets.
const PASSED_ON: &[&str] = &[
    "PATH",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "all_proxy",
];

/// How often metrics are summed up.
const SUM_UP: Duration = Duration::from_secs(5);

/// The tokens of this server.
///
/// # Errors
/// [`ServerError`] if there is no store that lasts.
pub fn tokens(config: &Config, environment: &Environment) -> Result<Tokens, ServerError> {
    match store(config, environment)? {
        StoreConfig::Memory => Err(HttpRefused::NoTokens.into()),
        kept @ (StoreConfig::Sqlite(_) | StoreConfig::Postgres(..)) => Ok(Tokens::new(kept)),
    }
}

/// The servers that share this store.
///
/// # Errors
/// [`ServerError`] if it is not one that servers share.
pub fn servers(config: &Config, environment: &Environment) -> Result<Servers, ServerError> {
    match store(config, environment)? {
        shared @ StoreConfig::Postgres(..) => Ok(Servers::new(shared)),
        own @ (StoreConfig::Memory | StoreConfig::Sqlite(_)) => {
            Err(ServerError::NotShared { store: own.to_string() })
        }
    }
}

/// Serves over HTTP until `shutdown` asks for the end. `ready` is told the URL of the endpoint once clients can connect.
///
/// # Errors
/// [`ServerError`].
pub async fn serve_http(
    config: Config,
    environment: Environment,
    shutdown: Shutdown,
    ready: impl FnOnce(&str),
) -> Result<(), ServerError> {
    let config = config.absolute(&environment.directory)?;
    let http = http_config(&config)?;
    let tokens = match tokens(&config, &environment) {
        Ok(tokens) => Some(tokens).filter(|_| config.http.auth),
        // Who has tokens of a provider alone needs nothing to keep ours in.
        Err(_) if !config.http.auth || config.http.jwt.issuer.is_some() => None,
        Err(error) => return Err(error),
    };
    // Each tenant's server reads it when it is made; what is wrong with it is said now.
    rollouts(&config.store, &environment.directory, false)?;
    allow_files(http.settings.connections);
    if let Some(warning) = config.unseparated_tenants() {
        tracing::warn!("{warning}");
    }
    let environment = connected(environment, &config)?;
    let (mut record, kept) = (presence(&config, "http"), store(&config, &environment).ok());
    let handshakes = kept.clone().filter(|kept| *kept != StoreConfig::Memory);
    let handshakes = handshakes.map(|kept| Handshakes::new(kept, record.id.clone()));
    let processes = config.codex.processes.map(Processes::new);
    let environment = Environment { processes, ..environment };
    let notifiers = Arc::new(Mutex::new(Vec::new()));
    let (all, known) = (Served::default(), KnownServers::default());
    let tenants = {
        let (notifiers, at_once) = (Arc::clone(&notifiers), shutdown.at_once.clone());
        let all = all.clone();
        Tenants::new(move |tenant| {
            let (config, environment) = of_tenant(tenant, &config, &environment)?;
            let hook = config.notify.command.clone();
            let variables = environment.for_children(&config);
            let server = server(config, environment, at_once.clone());
            let server: Server = server.map_err(|error| broken(tenant, error))?;
            let notifier = Notifier::start(hook, variables, server.sessions());
            all.add(tenant.cloned(), server.sessions());
            // Nothing under the lock can panic.
            notifiers.lock().unwrap_or_else(PoisonError::into_inner).push(notifier);
            Ok(server)
        })
    };
    let metrics = Metrics::start()?;
    let text = {
        let (metrics, known) = (metrics.clone(), known.clone());
        MetricsText::new(move || metrics.render() + &known.metrics())
    };
    let present = Arc::new(Mutex::new(None));
    let ready = {
        let (present, ending) = (Arc::clone(&present), shutdown.clone());
        move |url: &str| {
            record.url = Some(url.to_owned());
            let presence = Presence::start(kept, record, all, Some(known), ending.asked.clone());
            *present.lock().unwrap_or_else(PoisonError::into_inner) = presence;
            ready(url);
        }
    };
    let ended = {
        let _summing_up = AbortOnDropHandle::new(TaskTracker::new().spawn(async move {
            loop {
                tokio::time::sleep(SUM_UP).await;
                metrics.sum_up();
            }
        }));
        http::serve_http(http, tokens, handshakes, tenants, text, shutdown, ready).await
    };
    let notifiers = std::mem::take(&mut *notifiers.lock().unwrap_or_else(PoisonError::into_inner));
    for notifier in notifiers {
        notifier.finish().await;
    }
    let presence = present.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(presence) = presence {
        presence.finish().await;
    }
    Ok(ended?)
}

/// Lets this process have as many files open as it may have connections, where the system's usual limit is lower.
#[cfg(unix)]
fn allow_files(connections: usize) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    /// The store, logs, and what Codex needs.
    const OTHERS: u64 = 512;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = connections as u64 + OTHERS;
    let wanted = maximum.map_or(wanted, |maximum| wanted.min(maximum));
    if current.is_some_and(|current| current < wanted) {
        let limit = Rlimit { current: Some(wanted), maximum };
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            tracing::warn!(%error, connections, "there may be fewer connections than allowed");
        }
    }
}

#[cfg(not(unix))]
fn allow_files(_connections: usize) {}

/// Checks that it can be served as the settings say.
fn http_config(config: &Config) -> Result<HttpConfig, HttpRefused> {
    let settings = &config.http;
    let address = settings.socket_address();
    let address = address.map_err(|_| HttpRefused::Address(settings.address.clone()))?;
    if !is_path(&settings.path) {
        return Err(HttpRefused::Path(settings.path.clone()));
    }
    if let Some(url) = settings.base_url.as_ref().filter(|url| !is_base_url(url)) {
        return Err(HttpRefused::BaseUrl(url.clone()));
    }
    if !settings.auth && !address.ip().is_loopback() {
        return Err(HttpRefused::Open(address));
    }
    if !settings.auth && config.limits.roots.is_empty() {
        return Err(HttpRefused::NoRoots("limits.roots".to_owned()));
    }
    for (name, tenant) in &config.tenants {
        let _valid: Tenant = name.parse()?;
        if tenant.roots.is_empty() {
            return Err(HttpRefused::NoRoots(format!("tenants.{name}.roots")));
        }
        if !tenant.launcher.is_empty() && tenant.codex_home.is_none() {
            return Err(HttpRefused::NoHome(name.clone()));
        }
    }
    if settings.tls_certificate.is_some() != settings.tls_key.is_some() {
        return Err(HttpRefused::HalfTls);
    }
    check_jwt(config, address)?;
    let hosts = hosts(settings, address)?;
    let tenants = config.tenants.keys().cloned().collect();
    let base_url = settings.base_url.as_ref().map(|url| url.trim_end_matches('/').to_owned());
    let settings = HttpSettings { hosts, base_url, ..settings.clone() };
    let metrics_address = settings
        .metrics
        .as_deref()
        .map(|text| text.parse().map_err(|_| HttpRefused::MetricsAddress(text.to_owned())));
    let metrics_address = metrics_address.transpose()?;
    Ok(HttpConfig { address, metrics_address, settings, tenants })
}

/// Whether the endpoint can be at this path: plain names between slashes, and none that is there already.
fn is_path(path: &str) -> bool {
    let Some(names) = path.strip_prefix('/') else { return false };
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '~');
    let is_name =
        |name: &str| !name.is_empty() && name.chars().all(is_plain) && !name.starts_with('.');
    let is_taken = matches!(names, "healthz" | "readyz" | "metrics");
    !is_taken && names.split('/').all(is_name)
}

/// Whether clients can be told that the server is there: a scheme and a host, and no path.
fn is_base_url(text: &str) -> bool {
    let Ok(url) = url::Url::parse(text) else { return false };
    let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    matches!(url.scheme(), "http" | "https") && url.host().is_some() && is_bare
}

/// Checks that tokens of an identity provider can be told from forged ones.
fn check_jwt(config: &Config, address: SocketAddr) -> Result<(), HttpRefused> {
    let jwt = &config.http.jwt;
    let Some(issuer) = &jwt.issuer else { return Ok(()) };
    let fetched = match &jwt.jwks {
        Some(place) => Some(place).filter(|place| place.contains("://")),
        None => Some(issuer),
    };
    if let Some(url) = fetched.filter(|url| !http::is_private(url)) {
        return Err(HttpRefused::OpenKeys(url.clone()));
    }
    if let Some(tenant) = jwt.tenant.as_ref().filter(|name| !config.tenants.contains_key(*name)) {
        return Err(HttpRefused::NoTenant(tenant.clone()));
    }
    if config.http.base_url.is_none() && address.ip().is_unspecified() {
        return Err(HttpRefused::NoUrl(address));
    }
    Ok(())
}

fn hosts(settings: &HttpSettings, address: SocketAddr) -> Result<Vec<String>, HttpRefused> {
    let ip = address.ip();
    if !settings.hosts.is_empty() {
        return Ok(settings.hosts.clone());
    }
    if let Some(base) = &settings.base_url {
        let url = url::Url::parse(base).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let host = url.as_ref().and_then(|url| url.host_str());
        let host = host.ok_or_else(|| HttpRefused::BaseUrl(base.clone()))?.to_owned();
        let here = ip.is_loopback().then(|| ["localhost", "127.0.0.1", "::1"].map(str::to_owned));
        return Ok(here.into_iter().flatten().chain([host]).collect());
    }
    if ip.is_unspecified() {
        return Err(HttpRefused::NoHost(address));
    }
    let mut hosts = vec![ip.to_string()];
    if ip.is_loopback() {
        hosts.extend(["localhost", "127.0.0.1", "::1"].map(str::to_owned));
    }
    Ok(hosts)
}

/// What a tenant's server is made of. The operator's own differs from what stdio serves in where Codex works alone.
fn of_tenant(
    tenant: Option<&Tenant>,
    config: &Config,
    environment: &Environment,
) -> Result<(Config, Environment), NoTenant> {
    let (mut config, mut environment) = (config.clone(), environment.clone());
    // What the client of a process says of itself says nothing of those over HTTP.
    environment.client_limit = None;
    if let Some(tenant) = tenant {
        let settings = config.tenants.get(tenant.as_str()).cloned();
        let settings = settings.ok_or_else(|| NoTenant::Unknown(tenant.clone()))?;
        config.narrow(&settings);
        let own = own_environment(tenant, &settings, &config, &environment);
        environment = own.map_err(|error| broken(Some(tenant), error))?;
        // It has a store of its own, which nothing of another tenant's is in.
        config.store.path = None;
    }
    if let Some(root) = config.limits.roots.first() {
        environment.directory.clone_from(root);
    }
    Ok((config, environment))
}

/// A tenant's folders, and the variables its Codex sees.
fn own_environment(
    tenant: &Tenant,
    settings: &TenantSettings,
    config: &Config,
    environment: &Environment,
) -> Result<Environment, ServerError> {
    let beside = match store(config, environment)? {
        StoreConfig::Sqlite(path) => path.parent().map(std::path::Path::to_owned),
        StoreConfig::Memory | StoreConfig::Postgres(..) => environment.own_state(),
    };
    let folder = beside.ok_or(ServerError::NoStateFolder)?.join("tenants").join(tenant.as_str());
    let codex_home = settings.codex_home.clone().unwrap_or_else(|| folder.join("codex"));
    let is_launched = !settings.launcher.is_empty();
    let failed = |path: &std::path::Path| {
        let path = path.to_owned();
        move |source| HttpRefused::Folder { path, source }
    };
    private_folder(&folder).map_err(failed(&folder))?;
    if !is_launched {
        // One that the operator names keeps the rights it has.
        missing_folders(&codex_home).map_err(failed(&codex_home))?;
    }
    let passed_on = environment
        .variables
        .iter()
        .filter(|(name, _)| name.to_str().is_some_and(|name| PASSED_ON.contains(&name)));
    let mut variables: BTreeMap<OsString, OsString> =
        passed_on.map(|(name, value)| (name.clone(), value.clone())).collect();
    // Another user cannot even look into the server's folder.
    let home = if is_launched { &codex_home } else { &folder };
    variables.insert("HOME".into(), home.clone().into());
    variables.insert("CODEX_HOME".into(), codex_home.clone().into());
    Ok(Environment {
        codex_home,
        state_folder: Some(folder),
        launcher: settings.launcher.clone(),
        tenant: Some(tenant.clone()),
        api_key: settings.api_key_file.clone(),
        codex_variables: Some(variables),
        ..environment.clone()
    })
}

fn broken(
    tenant: Option<&Tenant>,
    error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> NoTenant {
    let name = tenant.map_or_else(|| "the operator".to_owned(), ToString::to_string);
    NoTenant::Broken { name, source: error.into() }
}
