//! A hermetic home: nothing of the user's own Codex, configuration or store is read or written.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use crate::process;

/// A temporary home directory with a Codex configuration that points at a fake model.
#[derive(Debug)]
pub struct Home {
    root: TempDir,
}

/// Nothing of a test outlives its home: what still runs would wait for a model that nobody plays any
/// more, and write files into a folder that is being removed.
impl Drop for Home {
    fn drop(&mut self) {
        process::kill_mentioning(&self.path().to_string_lossy());
    }
}

impl Home {
    /// Makes a home whose Codex asks the model at `model_url`.
    pub fn new(model_url: &str) -> Self {
        let root = TempDir::with_prefix("codex-mcp-").expect("make a temporary directory");
        let home = Self { root };
        for dir in [home.codex_home(), home.work(), home.state()] {
            fs::create_dir_all(dir).expect("make a directory in the temporary home");
        }
        home.codex_config(&Self::provider(model_url));
        home
    }

    /// A Codex configuration whose model is at `model_url`.
    pub fn provider(model_url: &str) -> String {
        format!(
            "model = \"gpt-mock\"\n\
             model_provider = \"mock\"\n\
             [model_providers.mock]\n\
             name = \"mock\"\n\
             base_url = \"{model_url}\"\n\
             wire_api = \"responses\"\n\
             env_key = \"MOCK_KEY\"\n\
             request_max_retries = 0\n\
             stream_max_retries = 0\n",
        )
    }

    /// Replaces Codex's own `config.toml`.
    pub fn codex_config(&self, text: &str) {
        fs::write(self.codex_home().join("config.toml"), text).expect("write Codex's config.toml");
    }

    /// Adds to Codex's own `config.toml`.
    pub fn add_codex_config(&self, text: &str) {
        let file = self.codex_home().join("config.toml");
        let known = fs::read_to_string(&file).expect("read Codex's config.toml");
        self.codex_config(&format!("{known}{text}"));
    }

    /// Logs Codex in to an account whose own back end is at `account_url`.
    pub fn log_in(&self, account_url: &str) {
        let claims = serde_json::json!({
            "email": "t@example.com",
            "exp": 4_102_444_800_i64,
            "https://api.openai.com/auth": {
                "chatgpt_plan_type": "pro", "chatgpt_account_id": "a", "chatgpt_user_id": "u",
            },
        });
        let part =
            |text: &str| base64::Engine::encode(&base64::prelude::BASE64_URL_SAFE_NO_PAD, text);
        let token =
            format!("{}.{}.{}", part("{\"alg\":\"none\"}"), part(&claims.to_string()), part("x"));
        let login = serde_json::json!({
            "auth_mode": "chatgpt",
            "OPENAI_API_KEY": null,
            "tokens": {"id_token": token, "access_token": token, "refresh_token": "r", "account_id": "a"},
            "last_refresh": "2099-01-01T00:00:00Z",
        });
        let file = self.codex_home().join("auth.json");
        fs::write(file, login.to_string()).expect("write Codex's auth.json");
        let known = fs::read_to_string(self.codex_home().join("config.toml"));
        let known = known.expect("read Codex's config.toml");
        self.codex_config(&format!("chatgpt_base_url = \"{account_url}\"\n{known}"));
    }

    /// The home directory itself.
    pub fn path(&self) -> &Path {
        self.root.path()
    }

    /// `CODEX_HOME`: configuration, threads and login of Codex.
    pub fn codex_home(&self) -> PathBuf {
        self.path().join(".codex")
    }

    /// The directory that calls work in.
    pub fn work(&self) -> PathBuf {
        self.path().join("work")
    }

    /// Runs git in the directory that calls work in.
    ///
    /// # Panics
    /// If git fails or is not there.
    pub fn git(&self, arguments: &[&str]) {
        let mut git = std::process::Command::new("git");
        git.args(["-c", "user.name=t", "-c", "user.email=t@example.com"]).args(arguments);
        let output = git.current_dir(self.work()).output().expect("run git");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Makes that directory a repository with one commit on the branch `main`.
    pub fn repository(&self) {
        self.git(&["init", "-q", "-b", "main"]);
        fs::write(self.work().join("a.txt"), "one\n").expect("write a file");
        self.git(&["add", "."]);
        self.git(&["commit", "-qm", "one"]);
    }

    /// Where the server keeps its store.
    pub fn state(&self) -> PathBuf {
        self.path().join("state")
    }

    /// The store file the server makes there.
    pub fn store(&self) -> PathBuf {
        self.state().join("codex-mcp-server/sessions.sqlite3")
    }

    /// The whole environment for the server and for Codex: nothing is inherited but PATH.
    ///
    /// Servers share a host that leaves with its last client, so that a server that is started again has nothing but
    /// the store; with `HOST_MODE=off` in the environment of the tests each has a process of its own.
    pub fn env(&self) -> Vec<(String, String)> {
        let path = |path: PathBuf| path.to_string_lossy().into_owned();
        let mode = std::env::var("HOST_MODE").unwrap_or_else(|_| "auto".to_owned());
        [
            ("PATH", std::env::var("PATH").unwrap_or_default()),
            ("HOME", path(self.path().to_owned())),
            ("CODEX_HOME", path(self.codex_home())),
            ("XDG_CONFIG_HOME", path(self.path().join("config"))),
            ("XDG_STATE_HOME", path(self.state())),
            ("XDG_DATA_HOME", path(self.path().join("data"))),
            ("TMPDIR", path(self.path().to_owned())),
            ("MOCK_KEY", "loopback".to_owned()),
            ("NO_COLOR", "1".to_owned()),
            ("CODEX_MCP_SERVER_HOST_MODE", mode),
            ("CODEX_MCP_SERVER_HOST_LINGER", "0s".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }
}
