//! What a Codex of ours has started is refused: at the host's socket, on loopback, at the command line.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Stdio},
};

use serde_json::{Value, json};
use testkit::{Client, HttpServer, process, wait_for};

use crate::{hosting::shared, support::World};

/// Knocks at every door that it is told of and writes down what it hears.
const ATTACK: &str = r#"
import ctypes, http.client, json, os, socket, subprocess, sys, threading
door, port, cookie, program, out = sys.argv[1:6]
heard = {}
def ask(what):
    try:
        s = socket.socket(socket.AF_UNIX); s.settimeout(10); s.connect(door)
        s.sendall((json.dumps({"key": None, "ask": what}) + "\n").encode())
        return s.makefile().readline()
    except OSError as error:
        return "no way: %s" % error
heard["status"] = ask("status")
heard["page"] = ask({"page": {"port": 0, "cookie": "mine", "code": None}})
heard["serve"] = ask({"serve": {"directory": "/", "limit": None, "isTerminal": True}})
heard["stop"] = ask({"stop": {"force": True}})
def get(method, path, source="127.0.0.1"):
    try:
        c = http.client.HTTPConnection("127.0.0.1", int(port), timeout=10, source_address=(source, 0))
        c.request(method, path, headers={"Cookie": cookie, "Origin": "http://127.0.0.1:" + port, "x-codex-mcp": "1"})
        r = c.getresponse()
        return "%d %s" % (r.status, r.read()[:300].decode())
    except OSError as error:
        return "no way: %s" % error
heard["look"] = get("GET", "/api/v1/sessions")
heard["answer"] = get("POST", "/api/v1/approvals/x")
heard["another address"] = get("GET", "/api/v1/sessions", "127.0.0.2")
def alone():
    CLONE_FILES = 0x400
    failed = ctypes.CDLL(None, use_errno=True).unshare(CLONE_FILES)
    heard["a thread's own files"] = "0 it shares them" if failed else get("GET", "/api/v1/sessions")
thread = threading.Thread(target=alone)
thread.start()
thread.join()
for name, words in {"approvals": ["approvals"], "ui": ["ui", "--no-open"], "host": ["host", "stop", "--force"],
                    "codex": ["codex", "say inner"], "list": ["sessions", "list"]}.items():
    try:
        ran = subprocess.run([program] + words, capture_output=True, timeout=20, stdin=subprocess.DEVNULL)
        heard[name] = "%d %s" % (ran.returncode, (ran.stdout + ran.stderr).decode()[:300])
    except subprocess.TimeoutExpired:
        heard[name] = "0 it went on"
text = json.dumps(heard)
open(out, "w").write(text) if out != "-" else print(text)
"#;

/// The page, shown to the user of this machine.
struct Page {
    program: Child,
    port: String,
    cookie: String,
}

impl Page {
    fn open(world: &World) -> Self {
        let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_codex-mcp-server"));
        for (name, value) in shared(world).command().as_std().get_envs() {
            program.env(name, value.unwrap_or_default());
        }
        program.args(["ui", "--no-open"]).current_dir(world.home.work());
        program.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut program = program.spawn().unwrap();
        let mut url = String::new();
        BufReader::new(program.stdout.take().unwrap()).read_line(&mut url).unwrap();
        let (port, path) = url.trim().rsplit_once(':').unwrap().1.split_once('/').unwrap();
        let entered = request(port, &format!("/{path}"), "");
        let cookie = entered.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
        let cookie = cookie.split(';').next().unwrap().to_owned();
        Self { program, port: port.to_owned(), cookie }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        drop(self.program.kill());
        drop(self.program.wait());
    }
}

fn request(port: &str, path: &str, cookie: &str) -> String {
    let mut stream = TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

async fn host_socket(world: &World) -> String {
    let status = shared(world).args(["host", "status", "--json"]).command().output().await.unwrap();
    let status: Value = serde_json::from_slice(&status.stdout).unwrap();
    let found = status.to_string();
    let (_, rest) = found.split_once("\"socket\":\"").unwrap_or_else(|| panic!("{found}"));
    rest.split('"').next().unwrap().to_owned()
}

fn assert_refused(heard: &Value) {
    let doors = heard.as_object().unwrap();
    assert_eq!(doors.len(), 13, "{heard}");
    for (door, said) in doors {
        let said = said.as_str().unwrap();
        let is_refused = said.contains("own MCP server") || said.starts_with("no way: ");
        assert!(is_refused, "{door}: {said}");
        assert!(!said.starts_with("0 "), "{door}: {said}");
    }
}

fn run(world: &World, line: &str, more: &Value) -> Value {
    let attack = world.home.path().join("attack.py");
    fs::write(attack, ATTACK).unwrap();
    let mut call = json!({"prompt": format!("run {line}"), "sandbox": "danger-full-access"});
    call.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    call
}

/// A world in which all doors are there, and a line that knocks at them.
async fn doors(world: &World) -> (Client, Page, String) {
    let ceiling =
        ["--set", "limits.sandbox_ceiling=danger-full-access", "--set", "limits.network=true"];
    let server = shared(world).args(ceiling).connect().await;
    let page = Page::open(world);
    let looked = request(&page.port, "/api/v1/sessions", &page.cookie);
    assert!(looked.starts_with("HTTP/1.1 200"), "{looked}");
    let socket = host_socket(world).await;
    let line = format!(
        "python3 {}/attack.py {socket} {} '{}' {}",
        world.home.path().display(),
        page.port,
        page.cookie,
        env!("CARGO_BIN_EXE_codex-mcp-server"),
    );
    (server, page, line)
}

#[tokio::test]
async fn a_command_is_refused_at_every_door() {
    let world = World::new().await;
    let (server, page, line) = doors(&world).await;
    let calls = [
        run(&world, &format!("{line} -"), &json!({})),
        // The network is allowed, so loopback and sockets can be reached from inside the sandbox.
        run(&world, &format!("{line} -"), &json!({"sandbox": "workspace-write", "network": true})),
    ];
    for call in calls {
        let result = server.call("codex", call.clone()).await.ok();
        let response = result["response"].as_str().unwrap();
        let heard = response.split_once('{').unwrap_or_else(|| panic!("{response}")).1;
        let heard = format!("{{{}", heard.rsplit_once('}').unwrap().0) + "}";
        let heard: Value =
            serde_json::from_str(&heard).unwrap_or_else(|error| panic!("{error}: {response}"));
        assert_refused(&heard);
    }
    let looked = request(&page.port, "/api/v1/sessions", &page.cookie);
    assert!(looked.starts_with("HTTP/1.1 200"), "{looked}");
}

/// It leaves its session and its parents, and clears its environment.
#[tokio::test]
async fn a_command_that_gets_away_is_refused_all_the_same() {
    let world = World::new().await;
    let (server, _page, line) = doors(&world).await;
    for (name, away) in [
        ("forks", "(setsid env -i"),
        ("nohup", "(nohup env -u CODEX_MCP_CHILD_TAG setsid -f env -i"),
    ] {
        let out = world.home.path().join(name);
        // What it starts is to find the same store.
        let state = world.home.state();
        let line = format!(
            "{away} PATH=$PATH HOME=$HOME XDG_STATE_HOME={} {line} {} >/dev/null 2>&1 &); sleep 0.1",
            state.display(),
            out.display()
        );
        server.call("codex", run(&world, &line, &json!({"sessionId": name}))).await.ok();
        let heard = wait_for("what it heard", || {
            fs::read_to_string(&out).ok().filter(|text| !text.is_empty())
        })
        .await;
        assert_refused(&serde_json::from_str(&heard).unwrap());
    }
}

/// Without a token, or with one that it has read in the files of a client.
#[tokio::test]
async fn a_command_is_refused_over_http_on_the_same_machine() {
    let world = World::new().await;
    let roots = format!("limits.roots={}", json!([world.home.work()]));
    let network = "limits.network=true";
    let serve = ["serve", "--http", "127.0.0.1:0", "--no-auth", "--set", &roots, "--set", network];
    let server = HttpServer::start(&shared(&world).args(serve)).await;
    let client = server.client(None);
    let script = format!(
        "import urllib.request, urllib.error\ntry:\n    print(urllib.request.urlopen('{}/healthz').read())\n\
         except urllib.error.HTTPError as error:\n    print(error.code, error.read().decode())\n",
        server.url().trim_end_matches("/mcp"),
    );
    fs::write(world.home.path().join("knock.py"), script).unwrap();
    let line = format!("python3 {}/knock.py", world.home.path().display());
    let call =
        json!({"prompt": format!("run {line}"), "sandbox": "workspace-write", "network": true});
    let result = client.call("codex", call).await.ok();
    let heard = result["response"].as_str().unwrap();
    assert!(heard.contains("403") && heard.contains("own MCP server"), "{heard}");
}

/// Nothing that a Codex has started runs longer than it does, whatever it has done to hide.
#[tokio::test]
async fn what_gets_away_ends_with_its_codex() {
    let world = World::new().await;
    let ceiling = ["--set", "limits.sandbox_ceiling=danger-full-access"];
    let server = shared(&world).args(ceiling).connect().await;
    let stays = "(setsid -f env -i /bin/sleep 98765 >/dev/null 2>&1 &); sleep 0.2";
    server.call("codex", run(&world, stays, &json!({}))).await.ok();
    let left = wait_for("the command", || {
        process::mentioning("98765")
            .into_iter()
            .find(|pid| process::command_line(*pid).contains("/bin/sleep"))
    })
    .await;
    server.close().await;
    wait_for("its end", || process::is_gone(left).then_some(())).await;
}

/// Sends its connection from one process to another until it was asked about, then takes it back.
const IN_FLIGHT: &str = r#"
import array, socket, sys, time
port = int(sys.argv[1])
near, far = socket.socketpair()
s = socket.socket()
s.connect(("127.0.0.1", port))
near.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [s.fileno()]))])
s.close()
time.sleep(1)
_, data, _, _ = far.recvmsg(1, 64)
fds = array.array("i"); fds.frombytes(data[0][2])
s = socket.socket(fileno=fds[0])
s.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nConnection: close\r\n\r\n" % port)
print(s.recv(400).decode())
"#;

/// The server's user has a program that cannot be inspected, such as an agent with keys. It is no excuse for others.
#[tokio::test]
async fn a_connection_on_its_way_is_no_clients_because_another_program_is_hidden() {
    const HIDE: &str = "import ctypes, time; ctypes.CDLL(None).prctl(4, 0, 0, 0, 0); print('hidden', flush=True); time.sleep(600)";
    let world = World::new().await;
    // Nothing is hidden from root.
    let as_user: &[&str] = if is_root() {
        let given = ["-R", "60002", &world.home.path().display().to_string()];
        let done = std::process::Command::new("chown").args(given).status().unwrap();
        assert!(done.success());
        &["setpriv", "--reuid=60002", "--regid=60002", "--clear-groups", "--"]
    } else {
        &[]
    };
    let hide = [as_user, &["/usr/bin/python3", "-c", HIDE]].concat();
    let mut hidden = std::process::Command::new(hide[0])
        .args(&hide[1..])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(hidden.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "hidden\n");
    let roots = format!("limits.roots={}", json!([world.home.work()]));
    let serve = [env!("CARGO_BIN_EXE_codex-mcp-server"), "serve", "--http", "127.0.0.1:0"];
    let serve = [as_user, &serve].concat();
    let launch = shared(&world).binary(serve[0]);
    let launch = serve[1..].iter().fold(launch, |launch, word| launch.arg(*word));
    let launch = launch.args(["--no-auth", "--set", &roots, "--set", "limits.network=true"]);
    let server = HttpServer::start(&launch).await;
    fs::write(world.home.path().join("in_flight.py"), IN_FLIGHT).unwrap();
    let line =
        format!("/usr/bin/python3 {}/in_flight.py {}", world.home.path().display(), server.port());
    let call =
        json!({"prompt": format!("run {line}"), "sandbox": "workspace-write", "network": true});
    // The client itself is this test, which can be seen.
    let result = server.client(None).call("codex", call).await.ok();
    let heard = result["response"].as_str().unwrap();
    assert!(heard.contains("403") && heard.contains("own MCP server"), "{heard}");
    hidden.kill().unwrap();
    hidden.wait().unwrap();
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").is_ok_and(|it| it.uid() == 0)
}
