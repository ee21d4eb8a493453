//! A real load balancer on loopback: haproxy, which gives every request to the next server.

use std::{
    fs,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// A running haproxy. It ends when this is dropped.
#[derive(Debug)]
pub struct Balancer {
    port: u16,
    process: Child,
    _folder: TempDir,
}

impl Balancer {
    /// One in front of these ports. `None` if the system has no haproxy.
    ///
    /// # Panics
    /// If there is one that does not start.
    pub fn start(servers: &[u16]) -> Option<Self> {
        let folder = TempDir::with_prefix("haproxy-").expect("a folder");
        let port = crate::port::free_port();
        let servers: Vec<String> = servers
            .iter()
            .map(|port| format!("    server s{port} 127.0.0.1:{port} check inter 1s\n"))
            .collect();
        let config = format!(
            "defaults\n    mode http\n    timeout connect 5s\n    timeout check 5s\n    timeout client 10m\n    timeout server 10m\n    \
             option redispatch\nlisten mcp\n    bind 127.0.0.1:{port}\n    balance roundrobin\n    \
             option httpchk GET /readyz\n{}",
            servers.concat()
        );
        let file = folder.path().join("haproxy.cfg");
        fs::write(&file, config).expect("write the configuration");
        let started = Command::new("haproxy")
            .args(["-db", "-f"])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let process = match started {
            Ok(process) => process,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                eprintln!("no haproxy here (Debian: apt-get install haproxy)");
                return None;
            }
            Err(error) => panic!("haproxy does not start: {error}"),
        };
        let begun = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(20), "haproxy does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(Self { port, process, _folder: folder })
    }

    /// The endpoint for clients.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/mcp", self.port)
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
