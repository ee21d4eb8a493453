//! A mistake is laid where it was made: in the call, in Codex's own files, or at the model.

use std::process::Stdio;

use serde_json::{Value, json};
use testkit::codex_cli;

use crate::support::World;

#[tokio::test]
async fn a_bad_value_of_a_call_is_no_broken_file_of_codex() {
    for version in ["0.98.0", "0.171.0"] {
        let world = World::new().await;
        world.home.add_codex_config("[features]\nremote_models = false\n");
        let codex = codex_cli::fetch(version).unwrap_or_else(|reason| panic!("{reason}"));
        let launch = world.launch().env("CODEX_BIN", codex.to_string_lossy());
        let server = launch.connect().await;
        let bad = json!({"prompt": "say hi", "config": {"web_search": "sometimes"}});
        let refused = server.call("codex", bad).await.failed_with("invalid_argument");
        assert!(refused.text.contains("sometimes"), "{version}: {}", refused.text);
        assert!(!refused.text.contains("configuration file"), "{version}: {}", refused.text);

        // The file is to blame if the same stands there, and mending it is enough.
        let file = world.home.codex_home().join("config.toml");
        let good = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, format!("sandbox_mode = \"sometimes\"\n{good}")).unwrap();
        let call = json!({"prompt": "say hi", "reasoningEffort": "low"});
        let refused = server.call("codex", call.clone()).await.failed_with("codex_config_invalid");
        assert!(refused.text.contains("sometimes"), "{version}: {}", refused.text);
        std::fs::write(&file, good).unwrap();
        assert_eq!(server.call("codex", call).await.ok()["response"], "hi", "{version}");
    }
}

#[tokio::test]
async fn the_doctor_tells_a_broken_configuration_from_a_missing_login() {
    let world = World::new().await;
    world.home.codex_config("model = [\n");
    let doctor = world.launch().args(["doctor", "--json"]);
    let output = doctor.command().stdin(Stdio::null()).output().await.unwrap();
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["ok"], false);
    let text = found.to_string();
    assert!(text.contains("config.toml:1:"), "{text}");
    assert!(!text.contains("logged in"), "{text}");
}

#[tokio::test]
async fn an_effort_that_is_refused_does_not_cost_the_session_its_model() {
    let world = World::new().await;
    let server = world.server().await;
    let words = "Unsupported value: 'xhigh' is not supported with the 'm' model.";
    let call = json!({"prompt": format!("refuse {words}"), "sessionId": "s", "model": "m"});
    server.call("codex", call).await.failed_with("effort_refused");
    let next = server.call("codex", json!({"prompt": "settings", "sessionId": "s"})).await.ok();
    assert!(next["response"].as_str().unwrap().starts_with("model=m "), "{}", next.raw);
}
