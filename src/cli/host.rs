//! `host`: shows the processes that serve this user's clients, and ends them.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use clap::Subcommand;
use serde::Serialize;
use sysinfo::{ProcessRefreshKind, ProcessesToUpdate, System};

use super::{
    error::CliError,
    print,
    run::{Exit, written},
    screen,
};
use crate::serve::host::{self, HostStatus, SilentHost, Stopped, Survey};

/// What to do with hosts.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum HostCommand {
    /// List the processes that serve your clients
    Status {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// End them; new clients start new ones
    Stop {
        /// Even while turns run, which are interrupted
        #[arg(long)]
        force: bool,
    },
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    #[serde(flatten)]
    status: HostStatus,
    /// Of the host and all it has started.
    memory_bytes: u64,
}

impl HostCommand {
    /// Runs the command for the hosts in `folders`.
    ///
    /// # Errors
    /// [`CliError::Output`].
    pub fn run(self, folders: &[PathBuf]) -> Result<Exit, CliError> {
        match self {
            Self::Status { json } => {
                let memory = Memory::read();
                let Survey { hosts, silent } = host::survey(folders);
                let hosts: Vec<_> = hosts
                    .into_iter()
                    .map(|status| Listed { memory_bytes: memory.of(status.pid), status })
                    .collect();
                let out = screen::stdout();
                let printed = if json {
                    print::json(&serde_json::json!({"hosts": hosts, "silent": silent}), out)
                } else {
                    list(&hosts, &silent, out)
                };
                written(printed, "the hosts")?;
                Ok(if silent.is_empty() { Exit::Done } else { Exit::Failed })
            }
            Self::Stop { force } => {
                let stopped = host::stop(folders, force);
                written(report(&stopped, screen::stdout()), "what became of them")?;
                let Stopped { busy, late, silent, .. } = &stopped;
                let all_ended = busy.is_empty() && late.is_empty() && silent.is_empty();
                Ok(if all_ended { Exit::Done } else { Exit::Failed })
            }
        }
    }
}

fn list(hosts: &[Listed], silent: &[SilentHost], mut out: impl Write) -> io::Result<()> {
    tell_silent(silent, &mut out)?;
    if hosts.is_empty() && silent.is_empty() {
        return writeln!(out, "No host runs. A client that starts this server starts one.");
    }
    for Listed { status, memory_bytes } in hosts {
        writeln!(
            out,
            "{}  version {}, {}, {}, {} MiB with Codex, log {}",
            status.pid,
            status.version,
            count(status.clients, "client"),
            count(status.running_turns, "running turn"),
            memory_bytes / (1024 * 1024),
            status.log.display(),
        )?;
    }
    Ok(())
}

fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

fn report(stopped: &Stopped, mut out: impl Write) -> io::Result<()> {
    let Stopped { ended, busy, late, silent } = stopped;
    if ended.is_empty() && busy.is_empty() && late.is_empty() && silent.is_empty() {
        return writeln!(out, "No host runs.");
    }
    tell_silent(silent, &mut out)?;
    for status in ended {
        writeln!(out, "{} has ended.", status.pid)?;
    }
    for status in busy {
        let turns = count(status.running_turns, "running turn");
        writeln!(out, "{} goes on: {turns}. --force interrupts what runs.", status.pid)?;
    }
    for status in late {
        writeln!(out, "{} is still ending; see {}.", status.pid, status.log.display())?;
    }
    Ok(())
}

fn tell_silent(silent: &[SilentHost], out: &mut impl Write) -> io::Result<()> {
    for SilentHost { pid, socket } in silent {
        match pid {
            Some(pid) => writeln!(
                out,
                "{pid} does not answer. It is suspended or hangs; `kill -KILL {pid}` ends it."
            )?,
            None => writeln!(out, "The host at {} does not answer.", socket.display())?,
        }
    }
    Ok(())
}

/// The memory of all processes.
struct Memory(System);

impl Memory {
    fn read() -> Self {
        let mut system = System::new();
        let memory = ProcessRefreshKind::nothing().with_memory().without_tasks();
        system.refresh_processes_specifics(ProcessesToUpdate::All, true, memory);
        Self(system)
    }

    /// That of a process and all it has started, in bytes.
    fn of(&self, process: u32) -> u64 {
        let mut left = vec![sysinfo::Pid::from_u32(process)];
        let mut bytes = 0;
        while let Some(pid) = left.pop() {
            bytes += self.0.process(pid).map_or(0, sysinfo::Process::memory);
            let children = self.0.processes().values().filter(|other| other.parent() == Some(pid));
            left.extend(children.map(sysinfo::Process::pid));
        }
        bytes
    }
}
