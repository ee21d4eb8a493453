//! Ending a command of ours along with what it has started.

/// Ends the process group of a command when it is dropped, where the system has process groups. The command leads the group.
#[derive(Debug)]
pub struct GroupKill(Option<u32>);

impl GroupKill {
    /// Watches over the group of this process.
    pub fn of(process: Option<u32>) -> Self {
        Self(process)
    }

    /// Leaves the group alone from now on: the command has ended by itself.
    pub fn leave(&mut self) {
        self.0 = None;
    }
}

impl Drop for GroupKill {
    fn drop(&mut self) {
        #[cfg(unix)]
        {
            use rustix::process::{Pid, Signal, kill_process_group};

            let group = self.0.and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
            // Usually nothing of it is left.
            let _ = group.map(|group| kill_process_group(group, Signal::KILL));
        }
    }
}
