//! Shows what would change, asks, and changes it.

use std::{
    io::{self, BufRead, IsTerminal, Write},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use super::{
    change::{Change, is_ours, kept, read},
    edit::{self, Language},
    error::SetupError,
    known::{Client, Entry, OwnCommand},
    remote::{Remote, same_url},
};
use serde_json::Value;

use crate::{
    app::Environment,
    cli::{
        error::CliError,
        run::{Exit, written},
        screen,
    },
    codex::{self, SearchPath},
    config::Flags,
};

/// How long a client's own command may take.
const TIMEOUT: Duration = Duration::from_mins(1);

/// The flags of `setup`.
#[derive(Debug, Clone, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
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
    /// Also remove or replace another server of this name
    #[arg(long)]
    force: bool,
    /// The URL of a remote server, in place of starting one
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// The variable of the client's environment that has the token for that server
    #[arg(long, value_name = "NAME", requires = "url", value_parser = variable)]
    token_env: Option<String>,
    /// The file to change, such as a project's own [default: the user's]
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

impl SetupArgs {
    /// Changes the client's configuration. The client will start the server with `flags`.
    ///
    /// # Errors
    /// [`CliError::Setup`], [`CliError::Output`].
    pub async fn run(self, flags: &Flags, environment: &Environment) -> Result<Exit, CliError> {
        let entry = self.entry(flags, environment);
        let change = self.change(&entry, environment)?;
        let mut out = screen::stdout();
        if change.before == change.after || change.there == change.wanted {
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
        let how = self.apply(&change, &entry, environment).await?;
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

    /// The entry that starts this binary with the flags it has now.
    fn entry(&self, flags: &Flags, environment: &Environment) -> Entry {
        let absolute = |path: &Path| environment.directory.join(path).display().to_string();
        let mut args = Vec::new();
        if let Some(file) = &flags.file {
            args.extend(["--config".to_owned(), absolute(file)]);
        }
        // The client starts us in another directory.
        for (key, value) in flags.absolute(&environment.directory).settings {
            args.extend(["--set".to_owned(), format!("{key}={value}")]);
        }
        let home = environment.home.clone();
        let everywhere = SearchPath { binary: None, path: environment.path.clone(), home };
        let is_chosen = flags.settings.iter().any(|(key, _)| key == "codex.bin");
        // What only this shell's PATH finds, a desktop would not.
        let is_hidden = || codex::find(&SearchPath { path: None, ..everywhere.clone() }).is_err();
        let needs_name = self.client.has_short_path() && !is_chosen && is_hidden();
        let found = needs_name.then(|| codex::find(&everywhere).ok()).flatten();
        let env = found.map(|found| ("CODEX_BIN".to_owned(), found.path.display().to_string()));
        Entry {
            name: self.name.clone(),
            command: environment.executable.display().to_string(),
            args,
            env: env.into_iter().collect(),
        }
    }

    /// How the entry looks in the client's file.
    fn value(&self, entry: &Entry) -> Result<Value, SetupError> {
        match &self.url {
            None => Ok(self.client.value(entry)),
            Some(url) => {
                let parsed = url::Url::parse(url);
                if !parsed.is_ok_and(|url| matches!(url.scheme(), "http" | "https")) {
                    return Err(SetupError::NoUrl(url.clone()));
                }
                let (url, token_env) = (url.clone(), self.token_env.clone());
                self.client.remote(&Remote { url, token_env })
            }
        }
    }

    fn change(&self, entry: &Entry, environment: &Environment) -> Result<Change, SetupError> {
        let chosen = self.file.as_ref().map(|file| environment.directory.join(file));
        let path = chosen.or_else(|| self.client.file(environment)).ok_or(SetupError::NoHome)?;
        // A link stays one, also if what it leads to is still to be made.
        let path = followed(path);
        let before = read(&path)?;
        let (language, key) = (self.language(), self.client.key());
        let failed = |source| SetupError::Edit { path: path.clone(), source };
        let there = edit::current(language, &before, key, &self.name).map_err(failed)?;
        let wanted = (!self.remove).then(|| self.value(entry)).transpose()?;
        let wanted = wanted.map(|value| kept(there.as_ref(), value));
        let after = edit::edited(language, &before, key, &self.name, wanted.as_ref());
        Ok(Change { after: after.map_err(failed)?, path, before, there, wanted })
    }

    /// Asks where somebody can answer. Where nobody can, only what is ours is replaced or removed.
    fn may(&self, change: &Change) -> Result<bool, CliError> {
        let is_same = |there| change.wanted.as_ref().is_some_and(|wanted| same_url(there, wanted));
        let is_foreign = change.there.as_ref().is_some_and(|it| !is_ours(it) && !is_same(it));
        // `--yes` spares a question about what one sees in the difference, and is no wish to lose another server.
        let is_said = self.force || (self.yes && !self.remove);
        let is_asked = !self.yes && io::stdin().is_terminal();
        if is_foreign && !is_said && !is_asked {
            let (name, path) = (self.name.clone(), change.path.clone());
            let advice = if self.remove {
                "pass --force to remove it all the same"
            } else {
                "pass --yes to replace it, or --name for another name"
            };
            return Err(SetupError::Taken { name, path, advice }.into());
        }
        if !is_asked {
            return Ok(true);
        }
        written(write!(screen::stderr(), "Change it? [Y/n] "), "to stderr")?;
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line).map_err(CliError::Input)?;
        Ok(matches!(line.trim().to_lowercase().as_str(), "" | "y" | "yes"))
    }

    /// By the client's own command if it is there and can say it all, else by writing the file. Says how
    /// if not plainly.
    async fn apply(
        &self,
        change: &Change,
        entry: &Entry,
        environment: &Environment,
    ) -> Result<String, SetupError> {
        let own = if self.remove {
            self.client.remove(&self.name)
        } else {
            // What the user has added to the entry it would lose.
            let is_plain = change.wanted == Some(self.value(entry)?);
            let own = self.client.add(entry).filter(|_| is_plain);
            own.filter(|_| self.url.is_none())
        };
        // What is there has to go first; not every client has a command for that.
        let replaced = change.there.as_ref().filter(|_| !self.remove);
        let first = replaced.and_then(|_| self.client.remove(&self.name));
        let own = own.filter(|_| self.file.is_none() && first.is_some() == replaced.is_some());
        let found = own.as_ref().and_then(|own| on_path(own.program, environment));
        let (Some(own), Some(program)) = (own, found) else {
            change.write()?;
            return Ok(String::new());
        };
        if let Some(first) = &first {
            run(&program, first).await?;
        }
        if let Err(error) = run(&program, &own).await {
            if first.is_some() {
                change.restore()?;
            }
            return Err(error);
        }
        let now = read(&change.path)?;
        let failed = |source| SetupError::Edit { path: change.path.clone(), source };
        let there =
            edit::current(self.language(), &now, self.client.key(), &self.name).map_err(failed)?;
        if there.is_some() == self.remove {
            // It may keep its servers elsewhere too; this file is what it documents.
            change.write()?;
            return Ok(String::new());
        }
        Ok(format!(" by `{}`", own.program))
    }
}

/// The name of a variable.
fn variable(text: &str) -> Result<String, &'static str> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if begins && text.chars().all(is_name) {
        Ok(text.to_owned())
    } else {
        Err("it must be the name of a variable, which has the token, and not the token")
    }
}

/// Where a path leads, link by link, as far as there is something.
fn followed(mut path: PathBuf) -> PathBuf {
    /// More than anybody has; a circle ends here, and then at the file.
    const LINKS: usize = 40;
    for _ in 0..LINKS {
        let Ok(target) = path.read_link() else { break };
        path = path.parent().unwrap_or(Path::new("")).join(target);
    }
    path.canonicalize().unwrap_or(path)
}

fn on_path(program: &str, environment: &Environment) -> Option<PathBuf> {
    let name = format!("{program}{}", std::env::consts::EXE_SUFFIX);
    let folders = environment.path.iter().flat_map(std::env::split_paths);
    folders.map(|folder| folder.join(&name)).find(|path| path.is_file())
}

async fn run(program: &Path, own: &OwnCommand) -> Result<(), SetupError> {
    let failed = |reason: String| SetupError::Own { command: own.to_string(), reason };
    let mut command = codex::command(program);
    command.args(&own.args).stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(TIMEOUT, command.output()).await;
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
