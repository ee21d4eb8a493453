//! What a result says of a turn's settings is what the model was really sent, on Codex of many ages.
//!
//! `CODEX_VERSIONS` chooses the versions, separated by commas.

use std::{fs, path::PathBuf};

use serde_json::{Value, json};
use testkit::{Client, Launch, ModelRequest, ToolResult, codex_cli};

use crate::support::World;

/// Both engines, and each of those in which Codex treats settings otherwise than before.
const CHOSEN: &str = "0.50.0,0.64.0,0.72.0,0.87.0,0.98.0,0.110.0,0.125.0,0.140.0,0.155.0,0.171.0";

#[tokio::test]
async fn a_result_says_what_the_model_was_sent() {
    let versions = std::env::var("CODEX_VERSIONS").unwrap_or_else(|_| CHOSEN.to_owned());
    let mut wrong = Vec::new();
    for version in versions.split(',').map(str::trim).filter(|version| !version.is_empty()) {
        eprintln!("Codex {version}");
        let mut story = Story::new(version).await;
        story.tell().await;
        wrong.extend(story.wrong.into_iter().map(|line| format!("{version}: {line}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

struct Story {
    world: World,
    version: String,
    server: Client,
    /// Two models that this Codex knows.
    models: [String; 2],
    wrong: Vec<String>,
}

/// What a call asks for.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    model: &'a str,
    effort: &'a str,
    directory: &'a str,
    sandbox: &'a str,
    continuity: &'a str,
}

fn launch(world: &World, version: &str) -> Launch {
    let codex = codex_cli::fetch(version).unwrap_or_else(|reason| panic!("{version}: {reason}"));
    world.launch().env("CODEX_BIN", codex.to_string_lossy())
}

impl Story {
    async fn new(version: &str) -> Self {
        let world = World::new().await;
        world.home.repository();
        for name in ["a", "b", "c"] {
            let folder = world.home.work().join(name);
            fs::create_dir(&folder).unwrap();
            fs::write(folder.join("new.txt"), "one\n").unwrap();
        }
        // 0.98 would first ask the vendor for its models, for seconds. A model for reviews must not be
        // taken where a call names one.
        let config = "[features]\nremote_models = false\n";
        world.home.add_codex_config(config);
        let file = world.home.codex_home().join("config.toml");
        let known = fs::read_to_string(&file).unwrap();
        fs::write(&file, format!("review_model = \"gpt-5-nano\"\n{known}")).unwrap();
        let server = launch(&world, version).connect().await;
        let listed = server.call("listModels", json!({})).await;
        let listed = listed["models"].as_array().cloned().unwrap_or_default();
        let mut names = listed.iter().map(|model| model["id"].as_str().unwrap().to_owned());
        let first = names.next().unwrap_or_else(|| "gpt-5-codex".to_owned());
        let second = names.next().unwrap_or_else(|| "gpt-5".to_owned());
        let models = [first, second];
        Self { world, version: version.to_owned(), server, models, wrong: Vec::new() }
    }

    fn directory(&self, name: &str) -> PathBuf {
        self.world.home.work().join(name)
    }

    async fn restart(&mut self) {
        assert!(self.server.close().await.success(), "{}", self.version);
        self.server = launch(&self.world, &self.version).connect().await;
    }

    async fn tell(&mut self) {
        let [one, two] = self.models.clone();
        let (read, write) = ("read-only", "workspace-write");
        let (a, b, c) = (self.directory("a"), self.directory("b"), self.directory("c"));
        let first = Wanted {
            model: &one,
            effort: "medium",
            directory: "a",
            sandbox: read,
            continuity: "new",
        };
        let call = json!({"prompt": "say 1", "model": one, "reasoningEffort": "medium",
            "workingDirectory": a, "sandbox": read});
        self.check("codex", "s", call, first).await;
        // All of it changes in mid-session.
        let second = Wanted {
            model: &two,
            effort: "high",
            directory: "b",
            sandbox: write,
            continuity: "resumed",
        };
        let call = json!({"prompt": "say 2", "model": two, "reasoningEffort": "high",
            "workingDirectory": b, "sandbox": write});
        self.check("codex", "s", call, second).await;
        // What can be said with a turn only.
        let third = Wanted { model: &one, effort: "medium", directory: "c", ..second };
        let call = json!({"prompt": "say 3", "model": one, "reasoningEffort": "medium",
            "workingDirectory": c});
        self.check("codex", "s", call, third).await;
        // A review on the loaded thread, with what is pinned and with its own.
        let pinned = Wanted { sandbox: read, ..third };
        self.check("review", "s", json!({}), pinned).await;
        let own = Wanted { model: &two, directory: "b", ..pinned };
        let call = json!({"model": two, "workingDirectory": b});
        self.check("review", "s", call, own).await;
        self.check("review", "s", json!({}), own).await;
        // What was pinned before counts again, what the review pinned stays.
        let after = Wanted { sandbox: write, ..own };
        self.check("codex", "s", json!({"prompt": "say 4"}), after).await;

        // A fork has the settings, and its own changes.
        let fork = json!({"sessionId": "s", "newSessionId": "f"});
        self.server.call("forkSession", fork).await.ok();
        self.check("review", "f", json!({}), Wanted { continuity: "", ..own }).await;
        let forked = Wanted { model: &one, directory: "a", ..after };
        let call = json!({"prompt": "say 5", "model": one, "workingDirectory": a});
        self.check("codex", "f", call, forked).await;

        // After a restart, for a prompt and for a review first.
        self.restart().await;
        self.check("codex", "s", json!({"prompt": "say 6"}), after).await;
        self.restart().await;
        let moved = Wanted { directory: "c", ..own };
        self.check("review", "s", json!({"workingDirectory": c}), moved).await;

        // When Codex has lost its record.
        self.restart().await;
        fs::remove_dir_all(self.world.home.codex_home().join("sessions")).unwrap();
        let rebuilt = Wanted { continuity: "rebuilt", ..moved };
        self.check("review", "s", json!({}), rebuilt).await;
        self.check(
            "review",
            "r",
            json!({"model": one, "workingDirectory": a}),
            Wanted { effort: "", continuity: "new", sandbox: read, ..first },
        )
        .await;
    }

    /// Makes a call and holds its result against what was wanted and what the model was sent.
    async fn check(&mut self, tool: &str, session: &str, mut call: Value, wanted: Wanted<'_>) {
        let label = format!("{tool} {session} {call}");
        call["sessionId"] = session.into();
        let result = self.server.call(tool, call).await.ok();
        let sent = self.world.model.requests().pop().expect("a request to the model");
        let wrong = self.compare(&result, &sent, wanted);
        self.wrong.extend(wrong.into_iter().map(|wrong| format!("{label}: {wrong}")));
    }

    fn compare(&self, result: &ToolResult, sent: &ModelRequest, wanted: Wanted<'_>) -> Vec<String> {
        let directory = self.directory(wanted.directory).display().to_string();
        let said = |key: &str| result[key].as_str().unwrap_or_default().to_owned();
        let warnings = result["warnings"].to_string();
        // Where a version cannot tell the model, the result says so.
        let is_outdated = |told: &str| {
            warnings.contains("tell the model what held before") && warnings.contains(told)
        };
        let mut rows =
            vec![("model", wanted.model.to_owned(), said("model"), sent.model().to_owned())];
        // Where nobody chose one the model's own default holds, which a version may or may not say.
        if !wanted.effort.is_empty() {
            let effort = sent.effort().unwrap_or_default().to_owned();
            rows.push(("effort", wanted.effort.to_owned(), said("reasoningEffort"), effort));
        }
        for (what, wanted, said, told) in [
            ("sandbox", wanted.sandbox.to_owned(), said("sandbox"), sent.sandbox()),
            ("directory", directory, said("workingDirectory"), sent.directory()),
        ] {
            let told = told.unwrap_or_default();
            let sent = if told != said && is_outdated(&told) { said.clone() } else { told };
            rows.push((what, wanted, said, sent));
        }
        if !wanted.continuity.is_empty() {
            let continuity = said("continuity");
            rows.push(("continuity", wanted.continuity.to_owned(), continuity.clone(), continuity));
        }
        rows.into_iter()
            .filter(|(_, wanted, said, sent)| wanted != said || said != sent)
            .map(|(what, wanted, said, sent)| {
                format!("{what}: wanted {wanted:?}, said {said:?}, sent {sent:?}")
            })
            .collect()
    }
}
