//! The Codex that is installed: where it is, which version it is, how it is driven and kept.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use super::{
    error::CodexError,
    find::{Binary, SearchPath, find},
    process,
    processes::Processes,
    projects::GIT_DIR,
    version::CodexVersion,
};

/// How Codex is found and kept.
#[derive(Debug, Clone)]
pub struct CodexConfig {
    /// Where to look for the binary.
    pub search: SearchPath,
    /// Codex's own folder.
    pub codex_home: PathBuf,
    /// What starts it, with the binary and its arguments behind: another user's rights, a container. Nothing if empty.
    pub launcher: Vec<String>,
    /// The variables it sees.
    pub variables: BTreeMap<OsString, OsString>,
    /// What keeps all that it starts below it and ends that with it: a program of ours and its arguments. Nothing if empty.
    pub reaper: Vec<OsString>,
    /// How long the child stays with nothing to do.
    pub idle: Duration,
    /// How long a request other than a turn may take.
    ///
    /// Codex itself waits up to 30 s for its state database after an unlucky kill (observed, 0.140 on).
    pub timeout: Duration,
    /// Whose it is, in metrics.
    pub label: Arc<str>,
    /// Whether a mistake in its configuration is an error where Codex can tell, instead of a warning nobody sees.
    pub strict: bool,
    /// A file with an API key, read at each start and given to Codex so that it is nowhere else on disk.
    pub api_key: Option<PathBuf>,
    /// The places of running processes, if they are limited.
    pub processes: Option<Processes>,
    /// Cancelled when the child must not be given time to end.
    pub force_kill: CancellationToken,
}

impl CodexConfig {
    /// The API key there is to give to Codex. `None` if there is none to give.
    ///
    /// # Errors
    /// [`CodexError::ApiKey`], also if the file is empty.
    pub(in crate::codex) async fn read_api_key(&self) -> Result<Option<String>, CodexError> {
        let Some(path) = &self.api_key else { return Ok(None) };
        let read = tokio::fs::read_to_string(path).await.and_then(|text| {
            let key = text.trim().to_owned();
            if key.is_empty() { Err(std::io::ErrorKind::UnexpectedEof.into()) } else { Ok(key) }
        });
        read.map(Some).map_err(|source| CodexError::ApiKey { path: path.clone(), source })
    }

    /// A command that starts Codex, to work.
    pub(in crate::codex) fn command(&self, binary: &Path) -> tokio::process::Command {
        let launcher = self.launcher.iter().map(OsString::from);
        self.started_by(self.reaper.iter().cloned().chain(launcher), binary)
    }

    /// A command that starts Codex to ask it something before it works.
    fn question(&self, binary: &Path) -> tokio::process::Command {
        self.started_by(self.launcher.iter().map(OsString::from), binary)
    }

    fn started_by(
        &self,
        words: impl Iterator<Item = OsString>,
        binary: &Path,
    ) -> tokio::process::Command {
        let mut words = words.chain([binary.as_os_str().to_owned()]);
        let program = words.next().unwrap_or_default();
        let mut command = process::command(Path::new(&program));
        command.args(words).env_clear().envs(&self.variables).env(GIT_DIR.0, GIT_DIR.1);
        command
    }
}

#[cfg(test)]
impl CodexConfig {
    /// For tests: nothing is looked for anywhere.
    pub(in crate::codex) fn example() -> Self {
        let limit = Duration::from_mins(1);
        Self {
            search: SearchPath::default(),
            codex_home: PathBuf::new(),
            launcher: Vec::new(),
            label: "".into(),
            strict: false,
            api_key: None,
            processes: None,
            variables: BTreeMap::new(),
            reaper: Vec::new(),
            idle: limit,
            timeout: limit,
            force_kill: CancellationToken::new(),
        }
    }
}

/// The Codex that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub binary: PathBuf,
    pub version: CodexVersion,
    /// Why this one, in words.
    pub reason: &'static str,
    /// Others that were found and not taken.
    pub others: Vec<PathBuf>,
}

impl Found {
    /// Looks for Codex and asks its version.
    ///
    /// # Errors
    /// [`CodexError::NotFound`], [`CodexError::Start`].
    pub(in crate::codex) async fn inspect(config: &CodexConfig) -> Result<Self, CodexError> {
        let Binary { path: binary, reason, others } = find(&config.search)?;
        let version = version_of(config, &binary).await?;
        Ok(Self { binary, version, reason, others })
    }

    /// How this version is driven: `app-server`, or `exec` for older ones.
    pub fn engine(&self) -> &'static str {
        if self.version < CodexVersion::APP_SERVER { "exec" } else { "app-server" }
    }

    /// Refuses a version that cannot be driven.
    pub(in crate::codex) fn drivable(self) -> Result<Self, CodexError> {
        if self.version < CodexVersion::MINIMUM {
            return Err(CodexError::TooOld { found: self.version, binary: self.binary });
        }
        Ok(self)
    }
}

/// Asks a binary for its version, with the rights and the variables that it will run with.
///
/// # Errors
/// [`CodexError::Start`] if it does not run, takes longer than ten seconds or says no version.
async fn version_of(config: &CodexConfig, binary: &Path) -> Result<CodexVersion, CodexError> {
    let failed = |cause: String| CodexError::Start { binary: binary.to_owned(), cause };
    let mut command = config.question(binary);
    command.arg("--version").stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(Duration::from_secs(10), command.output()).await;
    let output = output.map_err(|_| failed("`--version` took over ten seconds".to_owned()))?;
    let output = output.map_err(|error| failed(error.to_string()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    // `codex-cli 0.169.0`; a warning may come before it.
    let version = text.split_whitespace().rev().find_map(|word| word.parse().ok());
    version.ok_or_else(|| failed(format!("`--version` said no version ({})", output.status)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_decides_how_codex_is_driven() {
        let found = |version: &str| Found {
            binary: "/codex".into(),
            version: version.parse().unwrap(),
            reason: "",
            others: Vec::new(),
        };
        assert!(matches!(found("0.49.9").drivable(), Err(CodexError::TooOld { .. })));
        assert_eq!(found("0.50.0").drivable().unwrap().engine(), "exec");
        assert_eq!(found("0.71.9").engine(), "exec");
        assert_eq!(found("0.72.0").engine(), "app-server");
        assert!(found("0.72.0").version.lacks().len() < found("0.50.0").version.lacks().len());
        assert!(found("0.169.0").version.lacks().is_empty());
    }

    #[tokio::test]
    async fn a_binary_that_is_not_codex_is_named() {
        let error = version_of(&CodexConfig::example(), Path::new("/bin/true")).await.unwrap_err();
        assert!(error.to_string().contains("/bin/true"), "{error}");
        let error =
            version_of(&CodexConfig::example(), Path::new("/no/such/codex")).await.unwrap_err();
        assert!(error.to_string().contains("/no/such/codex"), "{error}");
    }
}
