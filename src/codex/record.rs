//! Codex's own record of a thread, for what Codex itself does not tell.
//!
//! Knows where records lie, and how the settings of each turn and what the model was told stand in them
//! (the same in 0.50 to 0.169). It only reads.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use serde::{
    Deserialize,
    de::value::{Error, StrDeserializer},
};
use serde_json::Value;

use super::{
    ids::ThreadId,
    settings::{ApprovalPolicy, EffectiveSettings, Sandbox},
};
use crate::system::compute;

/// How much of a record's end is read first.
const TAIL: u64 = 1024 * 1024;

/// What the model of a thread was told last of where it works. Each is `None` if the record does not say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct EnvironmentContext {
    pub(super) directory: Option<PathBuf>,
    pub(super) sandbox: Option<Sandbox>,
}

impl EnvironmentContext {
    /// Reads a record from beginning to end, on a thread for such work.
    pub(super) async fn read(record: PathBuf) -> Self {
        let read = compute(move || Self::of(&record)).await;
        read.unwrap_or_default()
    }

    fn of(record: &Path) -> Self {
        let mut told = Self::default();
        let Ok(file) = File::open(record) else { return told };
        for line in BufReader::new(file).lines().map_while(Result::ok) {
            if line.contains("<environment_context>")
                && let Ok(line) = serde_json::from_str::<Value>(&line)
            {
                told.hear(&line);
            }
        }
        told
    }

    fn hear(&mut self, line: &Value) {
        let parts = line.pointer("/payload/content").and_then(Value::as_array);
        let texts = parts.into_iter().flatten().filter_map(|part| part.get("text")?.as_str());
        for text in texts.filter(|text| text.trim_start().starts_with("<environment_context>")) {
            let between = |begin: &str, end: &str| {
                text.split_once(begin)?.1.split_once(end).map(|(inner, _)| inner)
            };
            if let Some(directory) = between("<cwd>", "</cwd>") {
                self.directory = Some(directory.into());
            }
            let word = between("<sandbox_mode>", "</sandbox_mode>");
            let sandbox =
                word.map(|word| Sandbox::deserialize(StrDeserializer::<Error>::new(word)));
            if let Some(Ok(sandbox)) = sandbox {
                self.sandbox = Some(sandbox);
            }
        }
    }
}

/// What the last turn of a thread ran with. `None` if the record does not say.
pub(super) async fn last_turn(record: PathBuf) -> Option<EffectiveSettings> {
    let read = compute(move || {
        // Nearly always near the end; a turn with much output may fill it.
        last_in(&record, TAIL).or_else(|| last_in(&record, u64::MAX))
    });
    read.await.ok().flatten()
}

/// The settings that the last `bytes` of a record end with.
fn last_in(record: &Path, bytes: u64) -> Option<EffectiveSettings> {
    let mut file = File::open(record).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(bytes))).ok()?;
    // The first line may be half a one, also in mid-character.
    let lines = BufReader::new(file).split(b'\n').map_while(Result::ok);
    let turns = lines.filter_map(|line| {
        let line = String::from_utf8_lossy(&line);
        let is_turn = line.contains("\"turn_context\"");
        is_turn.then(|| serde_json::from_str::<TurnContext>(&line).ok())?
    });
    turns.last().map(EffectiveSettings::from)
}

/// A line of a record that says what a turn runs with.
#[derive(Deserialize)]
struct TurnContext {
    payload: Context,
}

#[derive(Deserialize)]
struct Context {
    cwd: PathBuf,
    model: Option<String>,
    effort: Option<String>,
    #[serde(default)]
    approval_policy: Value,
    #[serde(default)]
    sandbox_policy: Value,
}

impl From<TurnContext> for EffectiveSettings {
    fn from(TurnContext { payload }: TurnContext) -> Self {
        // In 0.50 the kind has another key.
        let policy = &payload.sandbox_policy;
        let kind = policy.get("type").or_else(|| policy.get("mode")).unwrap_or(&Value::Null);
        Self {
            model: payload.model,
            reasoning_effort: payload.effort,
            sandbox: Sandbox::deserialize(kind).ok(),
            // A policy this server does not know asks for something.
            approval_policy: ApprovalPolicy::deserialize(&payload.approval_policy)
                .unwrap_or(ApprovalPolicy::OnRequest),
            working_directory: payload.cwd,
            writable_roots: Vec::new(),
            network: None,
            approvals_reviewer: None,
        }
    }
}

/// The folders that records are in: those of threads, and of threads that are archived.
pub(super) const FOLDERS: [&str; 2] = ["sessions", "archived_sessions"];

/// Where the record of a thread is. `None` if there is none, or an empty one.
pub(super) fn of_thread(codex_home: &Path, thread: &ThreadId) -> Option<PathBuf> {
    below(&codex_home.join("sessions"), &format!("-{thread}.jsonl"))
}

/// Where it is, also if the thread is archived.
pub(super) fn anywhere(codex_home: &Path, thread: &ThreadId) -> Option<PathBuf> {
    let end = format!("-{thread}.jsonl");
    FOLDERS.iter().find_map(|folder| below(&codex_home.join(folder), &end))
}

/// Records lie in folders by year, month and day.
fn below(folder: &Path, end: &str) -> Option<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.into_iter().find_map(|entry| {
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_folder {
            return below(&entry.path(), end);
        }
        let is_record = entry.file_name().to_string_lossy().ends_with(end)
            && entry.metadata().is_ok_and(|file| file.is_file() && file.len() > 0);
        is_record.then(|| entry.path())
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn records_are_found_and_read() {
        let home = tempfile::tempdir().unwrap();
        let day = home.path().join("sessions/2026/11/22");
        fs::create_dir_all(&day).unwrap();
        let told = |text: &str| {
            let content = json!([{"type": "input_text", "text": text}]);
            json!({"type": "response_item", "payload": {"content": content}}).to_string()
        };
        let lines = [
            r#"{"type":"session_meta"}"#.to_owned(),
            told("<environment_context>\n<cwd>/a</cwd><sandbox_mode>read-only</sandbox_mode>"),
            told("I say <environment_context><cwd>/nowhere</cwd>"),
            "<environment_context> half a li".to_owned(),
            told("<environment_context>\n<cwd>/b \"c\"</cwd>\n</environment_context>"),
        ];
        fs::write(day.join("rollout-x-abc.jsonl"), lines.join("\n")).unwrap();
        fs::write(day.join("rollout-x-empty.jsonl"), "").unwrap();
        let record = |id: &str| of_thread(home.path(), &ThreadId(id.into()));
        assert!(record("empty").is_none() && record("other").is_none());
        let told = EnvironmentContext::read(record("abc").unwrap()).await;
        let expected = EnvironmentContext {
            directory: Some("/b \"c\"".into()),
            sandbox: Some(Sandbox::ReadOnly),
        };
        assert_eq!(told, expected);
    }

    #[tokio::test]
    async fn the_settings_of_the_last_turn_are_found_also_before_much_output() {
        let folder = tempfile::tempdir().unwrap();
        let record = folder.path().join("r.jsonl");
        let turn = |cwd: &str, key: &str| {
            let mut policy = json!({});
            policy[key] = "workspace-write".into();
            json!({"type": "turn_context", "payload": {"cwd": cwd, "model": "m", "effort": "low",
                "approval_policy": "untrusted", "sandbox_policy": policy}})
        };
        let long = json!({"type": "event_msg", "payload": "x".repeat(3 * 1024 * 1024)});
        let text = format!("{}\n{}\n{long}\n", turn("/a", "mode"), turn("/b", "type"));
        fs::write(&record, text).unwrap();
        let expected = EffectiveSettings {
            model: Some("m".into()),
            reasoning_effort: Some("low".into()),
            sandbox: Some(Sandbox::WorkspaceWrite),
            approval_policy: ApprovalPolicy::Untrusted,
            working_directory: "/b".into(),
            writable_roots: Vec::new(),
            network: None,
            approvals_reviewer: None,
        };
        assert_eq!(last_turn(record.clone()).await, Some(expected.clone()));
        fs::write(&record, format!("{}\nhalf a li", turn("/b", "mode"))).unwrap();
        assert_eq!(last_turn(record).await, Some(expected));
        assert_eq!(last_turn("/no/such/record".into()).await, None);
    }
}
