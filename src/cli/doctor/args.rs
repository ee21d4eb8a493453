//! The flags of `doctor`, and which checks they ask for.

use std::path::PathBuf;

use super::{
    checks::{Checks, Status},
    remote,
};
use crate::{
    cli::{
        error::CliError,
        print,
        run::{Exit, written},
        screen,
    },
    config::Resolved,
    serve::Streams,
    session::Sessions,
};

/// The flags of `doctor`.
#[derive(Debug, Clone, clap::Args)]
pub struct DoctorArgs {
    /// Also run one real turn, which costs a few tokens
    #[arg(long)]
    live: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Check the server at this URL from outside, and nothing on this machine
    #[arg(long, value_name = "URL", conflicts_with = "live")]
    url: Option<String>,
    /// The variable that has a token for that server
    #[arg(long, value_name = "NAME", requires = "url")]
    token_env: Option<String>,
}

impl DoctorArgs {
    /// The remote server to check, and the variable with a token for it. `None` if this machine is to be checked.
    pub fn remote(&self) -> Option<(&str, Option<&str>)> {
        self.url.as_deref().map(|url| (url, self.token_env.as_deref()))
    }

    /// Runs all checks of this machine and prints the results.
    ///
    /// # Errors
    /// [`CliError::Client`], [`CliError::Output`].
    pub async fn run(
        self,
        resolved: &Resolved,
        sessions: &Sessions,
        streams: Streams,
        host_folders: &[PathBuf],
    ) -> Result<Exit, CliError> {
        let mut checks = Checks::default();
        checks.configuration(resolved);
        checks.store(resolved, sessions).await;
        checks.worktrees(sessions).await;
        checks.limits(sessions);
        checks.tenants(resolved);
        checks.hosts(resolved, host_folders);
        let can_work = checks.codex(sessions).await;
        if self.live {
            if can_work {
                checks.live(streams).await?;
            } else {
                let fix = "mend what is wrong above first".to_owned();
                checks.failed("turn", "not tried".to_owned(), fix);
            }
        }
        self.show(&checks)
    }

    /// Checks a remote server with this token and prints the results.
    ///
    /// # Errors
    /// [`CliError::Output`].
    pub async fn run_remote(self, url: &str, token: Option<&str>) -> Result<Exit, CliError> {
        self.show(&remote::check(url, token).await)
    }

    fn show(&self, checks: &Checks) -> Result<Exit, CliError> {
        let out = screen::stdout();
        let printed =
            if self.json { print::json(&checks.as_json(), out) } else { checks.print(out) };
        written(printed, "what was found")?;
        Ok(if checks.worst() == Status::Failed { Exit::Failed } else { Exit::Done })
    }
}
