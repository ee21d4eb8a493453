//! What this program does when it has started itself: it is a bridge, a host, or helps to start one.

use std::{
    ffi::OsString,
    io::{self, Read},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::Context;
use codex_mcp_server::{
    Exit, HostConfig, Role, find_host, serve_bridge, serve_host, start_and_leave, start_telemetry,
    start_telemetry_in,
};

use super::{Served, Typed, environment, fail, read, typed, wait_for};

/// Plays a role.
pub(super) fn play(role: Role, arguments: &[OsString]) -> ExitCode {
    let done = match role {
        Role::Server => return typed(arguments, Served::Here),
        Role::Bridge => serve_bridge(arguments).map_err(Into::into),
        Role::Finder => find(arguments),
        Role::Starter => executable().and_then(|program| Ok(start_and_leave(&program)?)),
        Role::Host => host(),
        #[cfg(target_os = "linux")]
        Role::Reaper => match codex_mcp_server::reap(arguments) {
            Ok(code) => return code,
            Err(error) => Err(error.into()),
        },
        #[cfg(not(target_os = "linux"))]
        Role::Reaper => Err(anyhow::anyhow!("this system has no orphans to take in")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error, Exit::Failed),
    }
}

fn find(arguments: &[OsString]) -> anyhow::Result<()> {
    // What is wrong with the arguments has been printed.
    let Ok(Typed { resolved, .. }) = read(arguments) else { anyhow::bail!("no host is found") };
    let _telemetry = start_telemetry(&resolved.config.log)?;
    let files = find_host(resolved.config, &environment()?)?;
    serde_json::to_writer(io::stdout(), &files)?;
    Ok(())
}

fn host() -> anyhow::Result<()> {
    let mut config = Vec::new();
    io::stdin().read_to_end(&mut config)?;
    let config: HostConfig = serde_json::from_slice(&config)?;
    let _telemetry = start_telemetry_in(&config.config.log, &config.files.log())?;
    let environment = environment()?;
    wait_for(false, |shutdown| serve_host(config, environment, shutdown))??;
    Ok(())
}

fn executable() -> anyhow::Result<PathBuf> {
    std::env::current_exe().context("this program does not know where it is")
}
