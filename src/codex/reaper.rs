//! The process between this program and a Codex: whatever Codex starts stays below it, and ends when Codex does.
//!
//! A command of Codex's can leave its session, its parents and its environment behind. On Linux an orphan goes to the
//! nearest ancestor that asked for orphans; that is this process, which carries our tag. So a process that descends from a
//! Codex of ours can be told for as long as that Codex runs, and nothing of it runs longer. It knows nothing of Codex but
//! that it is a program, and passes on what that does: input, output, signals, the way it ends.

use std::{
    ffi::OsString,
    fs, io,
    process::{Command, ExitCode},
    sync::{Arc, atomic::AtomicBool},
};

use super::kin::parent_of;
use rustix::process::{
    Pid, Signal, WaitOptions, WaitStatus, getpid, kill_process, set_child_subreaper, wait, waitpid,
};
use signal_hook::{consts, flag, low_level};

/// How often orphans are looked for at most: more come only from a program that starts others faster than they end.
const ROUNDS: usize = 1000;

/// Runs a program, the first of these words with the others as arguments, and ends all that is left of it when it ends.
/// Returns how it ended; if a signal ended it, this process ends by the same.
///
/// # Errors
/// If the program cannot be started.
pub fn reap(words: &[OsString]) -> io::Result<ExitCode> {
    let (program, arguments) = words.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    set_child_subreaper(Some(getpid()))?;
    // They reach the program as well, which decides what they mean.
    for signal in [consts::SIGTERM, consts::SIGINT, consts::SIGHUP] {
        flag::register(signal, Arc::new(AtomicBool::new(false)))?;
    }
    #[expect(
        clippy::disallowed_methods,
        reason = "it starts what it was told to, in its own environment"
    )]
    let child = Command::new(program).args(arguments).spawn()?;
    // The program alone holds its pipes, so our server hears at once when it has ended.
    let nothing = fs::File::open("/dev/null")?;
    rustix::stdio::dup2_stdin(&nothing)?;
    rustix::stdio::dup2_stdout(&nothing)?;
    let child = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let status = loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((ended, status))) if Some(ended) == child => break status,
            // An orphan, or a signal.
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    };
    end_orphans();
    Ok(ended_like(status))
}

/// Ends all children, and the children that these leave, until there are none.
fn end_orphans() {
    for _ in 0..ROUNDS {
        let killed = children().filter(|child| kill_process(*child, Signal::KILL).is_ok());
        let killed: Vec<Pid> = killed.collect();
        if killed.is_empty() {
            return;
        }
        for child in killed {
            // It was killed, so this does not take long.
            let _ = waitpid(Some(child), WaitOptions::empty());
        }
    }
}

/// The processes whose parent is this one.
fn children() -> impl Iterator<Item = Pid> {
    let own = std::process::id();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(move |entry| {
        let process: u32 = entry.file_name().to_str()?.parse().ok()?;
        let is_child = parent_of(process).ok()?? == own;
        is_child.then(|| Pid::from_raw(i32::try_from(process).ok()?)).flatten()
    })
}

/// Ends as a child has ended.
fn ended_like(status: WaitStatus) -> ExitCode {
    if let Some(signal) = status.terminating_signal() {
        // For one that cannot be told apart from an order to this process, that is the order.
        drop(low_level::emulate_default_handler(signal));
        let _ = Signal::from_named_raw(signal).map(|signal| kill_process(getpid(), signal));
    }
    let code = status.exit_status().and_then(|code| u8::try_from(code).ok());
    code.map_or(ExitCode::FAILURE, ExitCode::from)
}
