//! A turn on the command line of `codex exec`. Pure.
//!
//! Options stand before `resume`, where every version takes them. Nothing is inherited by a resume, so
//! everything is said each time.

use std::{ffi::OsString, path::Path};

use serde_json::Value;

use crate::codex::{
    ids::ThreadId,
    projects::Project,
    settings::{ThreadOptions, ThreadSettings, TurnRequest, WebSearch},
};

/// The arguments after the binary. The prompt is read from stdin.
pub(super) fn of(
    (settings, project): (&ThreadSettings, &Project),
    request: &TurnRequest,
    thread: Option<&ThreadId>,
    schema: Option<&Path>,
) -> Vec<OsString> {
    let mut arguments: Vec<OsString> =
        ["exec", "--json", "--skip-git-repo-check", "--color", "never"].map(Into::into).into();
    let mut say = |option: &str, value: OsString| {
        arguments.push(option.into());
        arguments.push(value);
    };
    say("--sandbox", settings.sandbox.as_str().into());
    say("--cd", request.cwd.clone().into());
    if let Some(model) = &request.model {
        say("--model", model.into());
    }
    if let Some(effort) = &request.effort {
        say("-c", format!("model_reasoning_effort={}", quoted(effort)).into());
    }
    for (key, value) in config(&settings.options, project) {
        say("-c", format!("{key}={value}").into());
    }
    if let Some(schema) = schema {
        say("--output-schema", schema.into());
    }
    for image in &request.images {
        // As one word: the separate form would take the prompt for another image.
        let mut word = OsString::from("--image=");
        word.push(image);
        arguments.push(word);
    }
    if let Some(thread) = thread {
        arguments.extend(["resume".into(), thread.0.clone().into()]);
    }
    arguments.push("-".into());
    arguments
}

/// Keys of Codex's configuration with values as TOML.
fn config(options: &ThreadOptions, project: &Project) -> Vec<(String, String)> {
    let mut keys = options.keys();
    project.hide(&mut keys);
    let mut config: Vec<_> = keys.into_iter().map(|(key, value)| (key, toml(&value))).collect();
    if let Some(roots) = options.all_writable_roots() {
        let roots = roots.iter().map(|root| root.to_string_lossy().into_owned());
        let roots = toml::Value::from(roots.collect::<Vec<_>>());
        config.push(("sandbox_workspace_write.writable_roots".to_owned(), roots.to_string()));
    }
    if let Some(search) = options.web_search {
        // The word of these versions.
        config.push(("tools.web_search".to_owned(), (search != WebSearch::Off).to_string()));
    }
    for server in &options.disabled_mcp_servers {
        config.push((format!("mcp_servers.{server}.enabled"), "false".to_owned()));
    }
    config
}

fn toml(value: &Value) -> String {
    toml::Value::try_from(value).map_or_else(|_| value.to_string(), |value| value.to_string())
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::codex::settings::{ApprovalPolicy, Sandbox};

    #[test]
    fn a_resumed_turn_says_everything_before_the_word() {
        let settings = ThreadSettings {
            cwd: "/w".into(),
            model: None,
            effort: None,
            sandbox: Sandbox::ReadOnly,
            approval_policy: ApprovalPolicy::Never,
            ephemeral: false,
            options: ThreadOptions {
                web_search: Some(WebSearch::Live),
                disabled_mcp_servers: vec!["x".into()],
                ..ThreadOptions::default()
            },
        };
        let request = TurnRequest {
            text: "-p".into(),
            images: vec![PathBuf::from("a.png")],
            output_schema: None,
            cwd: "/w".into(),
            model: Some("m".into()),
            effort: Some("high".into()),
            approval_policy: ApprovalPolicy::Never,
        };
        let thread = ThreadId("id".into());
        let words = of((&settings, &Project::default()), &request, Some(&thread), None);
        let words: Vec<_> = words.iter().map(|word| word.to_str().unwrap()).collect();
        assert_eq!(
            words.join(" "),
            "exec --json --skip-git-repo-check --color never --sandbox read-only --cd /w --model m \
             -c model_reasoning_effort=\"high\" -c shell_environment_policy.exclude=[] -c tools.web_search=true -c mcp_servers.x.enabled=false \
             --image=a.png resume id -"
        );
        assert!(!words.contains(&"-p"));
    }
}
