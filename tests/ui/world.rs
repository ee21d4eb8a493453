//! A world with a page: a fake model, a home, our program, and a browser.

use testkit::{Browser, CODEX_VERSION, Home, Launch, Model, Tab, codex_cli};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Child,
};

pub(crate) struct World {
    pub(crate) model: Model,
    pub(crate) home: Home,
}

/// `codex-mcp-server ui`, for as long as this lives.
pub(crate) struct Ui {
    pub(crate) child: Child,
    pub(crate) url: String,
}

impl World {
    pub(crate) async fn new() -> Self {
        let model = Model::start().await;
        let home = Home::new(&model.url());
        Self { model, home }
    }

    pub(crate) fn launch(&self) -> Launch {
        let codex = codex_cli::fetch(CODEX_VERSION).unwrap_or_else(|reason| panic!("{reason}"));
        let launch = Launch::new(env!("CARGO_BIN_EXE_codex-mcp-server"), &self.home, &codex);
        // What pictures show.
        launch.env("CODEX_MCP_SERVER_STORE_MACHINE", "laptop")
    }

    pub(crate) async fn ui(&self) -> Ui {
        Ui::start(&self.launch()).await
    }

    /// A browser with the page in it.
    pub(crate) async fn browse(&self) -> (Ui, Browser, Tab) {
        let ui = self.ui().await;
        let browser = Browser::start().await;
        let tab = browser.open(&ui.url).await;
        tab.wait("document.querySelector('#search')").await;
        (ui, browser, tab)
    }
}

impl Ui {
    pub(crate) async fn start(launch: &Launch) -> Self {
        let mut child = launch.clone().args(["ui", "--no-open"]).command().spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let url = lines.next_line().await.unwrap().expect("an address");
        Self { child, url }
    }

    /// The address without the code.
    pub(crate) fn origin(&self) -> String {
        self.url.split("/?code=").next().unwrap().to_owned()
    }
}

/// Nothing went wrong in the page, and it asked nobody else for anything.
pub(crate) fn quiet(tab: &Tab, origin: &str) {
    assert_eq!(tab.complaints(), Vec::<String>::new());
    for url in tab.requests() {
        // The icon in the browser's own field for dates is in its own style sheet.
        let is_own = url.starts_with(origin)
            || url.starts_with("blob:")
            || url.starts_with("data:image/svg+xml")
            || url == "about:blank";
        assert!(is_own, "the page asked for {url}");
    }
}
