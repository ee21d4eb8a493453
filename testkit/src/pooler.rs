//! A real pooler (`PgBouncer`) on loopback, which gives each transaction whichever connection to the database is free.

use std::{
    fs, io,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{
    port::free_port,
    postgres::{as_nobody, is_root},
};

/// The first version that keeps prepared statements apart, without which sqlx can use none.
const OLDEST: (u32, u32) = (1, 21);

/// A running `PgBouncer`. It ends when this is dropped.
#[derive(Debug)]
pub struct Pooler {
    port: u16,
    database: String,
    process: Child,
    _folder: TempDir,
}

impl Pooler {
    /// One in front of the database of this URL, with few connections to it. `None` if the system has no `PgBouncer`, or one
    /// that is too old; `PGBOUNCER` names another.
    ///
    /// # Panics
    /// If there is one that does not start.
    pub fn start(url: &str) -> Option<Self> {
        let program = std::env::var("PGBOUNCER").unwrap_or_else(|_| "pgbouncer".to_owned());
        match version(&program) {
            Some(version) if version >= OLDEST => {}
            Some((major, minor)) => {
                eprintln!("PgBouncer {major}.{minor} here is older than 1.21");
                return None;
            }
            None => {
                eprintln!("no PgBouncer here (Debian: apt-get install pgbouncer)");
                return None;
            }
        }
        let address = url.rsplit('@').next().expect("an address");
        let (server, database) = address.split_once('/').expect("a database");
        let server_port = server.rsplit(':').next().expect("a port");
        let folder = TempDir::with_prefix("pgbouncer-").expect("a folder");
        let port = free_port();
        let config = format!(
            "[databases]\n{database} = host=127.0.0.1 port={server_port} dbname={database} user=postgres\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n\
             pool_mode = transaction\ndefault_pool_size = 4\nmax_client_conn = 200\nmax_prepared_statements = 200\n"
        );
        let file = folder.path().join("pgbouncer.ini");
        fs::write(&file, config).expect("write the configuration");
        if is_root() {
            for path in [folder.path(), &file] {
                std::os::unix::fs::chown(path, Some(65_534), Some(65_534)).expect("give it away");
            }
        }
        let process = as_nobody(is_root(), program.as_ref())
            .arg(&file)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("start PgBouncer");
        let begun = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(20), "PgBouncer does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(Self { port, database: database.to_owned(), process, _folder: folder })
    }

    /// The URL of the database through it.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{}", self.port, self.database)
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What a program says its version is. `None` if there is no such program.
fn version(program: &str) -> Option<(u32, u32)> {
    let said = match Command::new(program).arg("--version").output() {
        Ok(said) => String::from_utf8_lossy(&said.stdout).into_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => panic!("PgBouncer does not start: {error}"),
    };
    let number = said.split_whitespace().nth(1)?;
    let mut parts = number.split('.').map(|part| part.parse().ok());
    Some((parts.next()??, parts.next()??))
}
