//! Showing what would change, asking, and doing it.

use std::{
    fs,
    io::{self, BufRead, IsTerminal, Write},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use serde_json::Value;
use similar::TextDiff;

use super::{
    edit::{self, EditError, Language},
    known::{Client, Entry, OwnCommand},
};
use crate::{
    cli::{CliError, Exit, run::written},
    codex::{self, SearchPath},
    config::Flags,
    wire::Place,
};

/// How long a client's own command may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why a client could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// Nobody knows where the file is.
    #[error(
        "there is no home folder to find the client's configuration in; name the file with --file"
    )]
    NoHome,
    /// The file cannot be changed.
    #[error("{} was left as it is", path.display())]
    Edit {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: EditError,
    },
    /// The file cannot be read or written.
    #[error("cannot {what} {}", path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Somebody else wrote it meanwhile.
    #[error("{} was changed by somebody else meanwhile; nothing was written, try again", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// The client's own command failed.
    #[error("`{command}` failed: {reason}")]
    Own {
        /// The command.
        command: String,
        /// What it said.
        reason: String,
    },
    /// There is something else of this name.
    #[error("`{name}` in {} is another server; pass --yes to replace it, or --name for another name", path.display())]
    Taken {
        /// The name.
        name: String,
        /// The file.
        path: PathBuf,
    },
}

/// Which client, and what to do with it.
#[derive(Debug, Clone, clap::Args)]
pub struct SetupArgs {
    /// The client
    client: Client,
    /// What the server is called there
    #[arg(long, default_value = "codex")]
    name: String,
    /// Take it out again
    #[arg(long)]
    remove: bool,
    /// Only print what would change
    #[arg(long)]
    print: bool,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    /// The file to change, such as a project's own [default: the user's]
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

/// A file before and after.
struct Change {
    path: PathBuf,
    before: String,
    after: String,
    /// What is there under the name.
    there: Option<Value>,
}

impl SetupArgs {
    /// Does it. `flags` are given to the server whenever the client starts it.
    ///
    /// # Errors
    /// [`CliError::Setup`], [`CliError::Output`].
    pub async fn run(self, flags: &Flags, place: &Place) -> Result<Exit, CliError> {
        let entry = self.entry(flags, place);
        let value = (!self.remove).then(|| self.client.value(&entry));
        let change = self.change(value.as_ref(), place)?;
        let mut out = io::stdout().lock();
        if change.before == change.after || change.there == value {
            let state = if self.remove { "is not" } else { "is already" };
            let line =
                format!("`{}` {state} in {}; nothing to do", self.name, change.path.display());
            written(writeln!(out, "{line}"), "to stdout")?;
            return Ok(Exit::Done);
        }
        written(write!(out, "{}", change.diff()), "the difference")?;
        if self.print {
            return Ok(Exit::Done);
        }
        if !self.may(&change)? {
            written(writeln!(out, "nothing was changed"), "to stdout")?;
            return Ok(Exit::Done);
        }
        let how = self.apply(&change, value.as_ref(), &entry, place).await?;
        let did = if self.remove { "taken out of" } else { "written to" };
        let next =
            if self.remove { String::new() } else { format!("\n{}", self.client.next(&self.name)) };
        let line = format!("{did} {}{how}{next}", change.path.display());
        written(writeln!(out, "{line}"), "to stdout")?;
        Ok(Exit::Done)
    }

    fn language(&self) -> Language {
        if self.client == Client::Codex { Language::Toml } else { Language::Json }
    }

    /// How the client shall start us: this very binary, as it was started now.
    fn entry(&self, flags: &Flags, place: &Place) -> Entry {
        let absolute = |path: &Path| place.directory.join(path).display().to_string();
        let mut args = Vec::new();
        if let Some(file) = &flags.file {
            args.extend(["--config".to_owned(), absolute(file)]);
        }
        for (key, value) in &flags.settings {
            // The client starts us in another directory.
            let value =
                if key == "store.path" { absolute(Path::new(value)) } else { value.clone() };
            args.extend(["--set".to_owned(), format!("{key}={value}")]);
        }
        let home = place.home.clone();
        let everywhere = SearchPath { binary: None, path: place.path.clone(), home };
        let is_chosen = flags.settings.iter().any(|(key, _)| key == "codex.bin");
        // What only this shell's PATH finds, a desktop would not.
        let is_hidden = || codex::find(&SearchPath { path: None, ..everywhere.clone() }).is_err();
        let needs_name = self.client.has_short_path() && !is_chosen && is_hidden();
        let found = needs_name.then(|| codex::find(&everywhere).ok()).flatten();
        let env = found.map(|found| ("CODEX_BIN".to_owned(), found.path.display().to_string()));
        Entry {
            name: self.name.clone(),
            command: place.executable.display().to_string(),
            args,
            env: env.into_iter().collect(),
        }
    }

    fn change(&self, value: Option<&Value>, place: &Place) -> Result<Change, SetupError> {
        let chosen = self.file.as_ref().map(|file| place.directory.join(file));
        let path = chosen.or_else(|| self.client.file(place)).ok_or(SetupError::NoHome)?;
        // A link stays one.
        let path = path.canonicalize().unwrap_or(path);
        let before = read(&path)?;
        let (language, key) = (self.language(), self.client.key());
        let failed = |source| SetupError::Edit { path: path.clone(), source };
        let there = edit::current(language, &before, key, &self.name).map_err(failed)?;
        let after = edit::edited(language, &before, key, &self.name, value).map_err(failed)?;
        Ok(Change { path, before, after, there })
    }

    /// Asks where somebody can answer. Where nobody can, only what is ours is replaced.
    fn may(&self, change: &Change) -> Result<bool, CliError> {
        if self.yes {
            return Ok(true);
        }
        if !io::stdin().is_terminal() {
            return match &change.there {
                Some(there) if !is_ours(there) => {
                    let (name, path) = (self.name.clone(), change.path.clone());
                    Err(SetupError::Taken { name, path }.into())
                }
                _ => Ok(true),
            };
        }
        written(write!(io::stderr(), "Change it? [Y/n] "), "to stderr")?;
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line).map_err(CliError::Input)?;
        Ok(matches!(line.trim().to_lowercase().as_str(), "" | "y" | "yes"))
    }

    /// By the client's own command if it is there, else by writing the file. Says how if not plainly.
    async fn apply(
        &self,
        change: &Change,
        value: Option<&Value>,
        entry: &Entry,
        place: &Place,
    ) -> Result<String, SetupError> {
        let own = if self.remove { self.client.remove(&self.name) } else { self.client.add(entry) };
        let own = own.filter(|_| self.file.is_none());
        let found = own.as_ref().and_then(|own| on_path(own.program, place));
        let (Some(own), Some(program)) = (own, found) else {
            change.write()?;
            return Ok(String::new());
        };
        if change.there.is_some()
            && !self.remove
            && let Some(remove) = self.client.remove(&self.name)
        {
            run(&program, &remove).await?;
        }
        run(&program, &own).await?;
        let now = read(&change.path)?;
        let failed = |source| SetupError::Edit { path: change.path.clone(), source };
        let there =
            edit::current(self.language(), &now, self.client.key(), &self.name).map_err(failed)?;
        if there.is_some() != value.is_some() {
            let reason = "it said nothing, and did not change the file".to_owned();
            return Err(SetupError::Own { command: own.to_string(), reason });
        }
        Ok(format!(" by `{} mcp`", own.program))
    }
}

impl Change {
    fn diff(&self) -> String {
        let path = self.path.display().to_string();
        let diff = TextDiff::from_lines(&self.before, &self.after);
        diff.unified_diff().context_radius(2).header(&path, &path).to_string()
    }

    /// All or nothing, with the rights it had.
    fn write(&self) -> Result<(), SetupError> {
        let failed =
            |what| move |source| SetupError::File { what, path: self.path.clone(), source };
        if read(&self.path)? != self.before {
            return Err(SetupError::Changed { path: self.path.clone() });
        }
        let folder = self.path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(failed("make the folder of"))?;
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed("write"))?;
        file.write_all(self.after.as_bytes()).map_err(failed("write"))?;
        if let Ok(known) = fs::metadata(&self.path) {
            fs::set_permissions(file.path(), known.permissions()).map_err(failed("write"))?;
        }
        file.persist(&self.path).map_err(|error| failed("write")(error.error))?;
        Ok(())
    }
}

fn read(path: &Path) -> Result<String, SetupError> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        read => {
            read.map_err(|source| SetupError::File { what: "read", path: path.to_owned(), source })
        }
    }
}

/// Whether an entry starts a server of this name, wherever it is.
fn is_ours(entry: &Value) -> bool {
    let command = entry.get("command");
    let command = command.and_then(|command| command.as_str().or_else(|| command.get(0)?.as_str()));
    let name = command.and_then(|command| Path::new(command).file_stem()?.to_str());
    name == Some("codex-mcp-server")
}

fn on_path(program: &str, place: &Place) -> Option<PathBuf> {
    let name = format!("{program}{}", std::env::consts::EXE_SUFFIX);
    let folders = place.path.iter().flat_map(std::env::split_paths);
    folders.map(|folder| folder.join(&name)).find(|path| path.is_file())
}

async fn run(program: &Path, own: &OwnCommand) -> Result<(), SetupError> {
    let failed = |reason: String| SetupError::Own { command: own.to_string(), reason };
    let mut command = codex::command(program);
    command.args(&own.args).stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, command.output()).await;
    let output = output.map_err(|_| failed("it did not end in time".to_owned()))?;
    let output = output.map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stderr, output.stdout]
        .map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned());
    let said = said.into_iter().find(|text| !text.is_empty());
    Err(failed(said.unwrap_or_else(|| output.status.to_string())))
}

impl std::fmt::Display for OwnCommand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.program, self.args.join(" "))
    }
}

impl From<SetupError> for CliError {
    fn from(error: SetupError) -> Self {
        Self::Setup(Box::new(error))
    }
}
