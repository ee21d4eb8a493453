//! The parameters of the requests we make.

use std::path::Path;

use serde::Serialize;
use serde_json::{Map, Value, json};
use serde_with::skip_serializing_none;

use crate::codex::{
    projects::Project,
    settings::{ApprovalPolicy, ContextItem, Reviewer, Role, Sandbox, ThreadSettings, WebSearch},
    version::CodexVersion,
};

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InitializeParams {
    client_info: ClientInfo,
    capabilities: Capabilities,
}

#[derive(Debug, Serialize)]
struct ClientInfo {
    name: &'static str,
    title: &'static str,
    version: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Capabilities {
    experimental_api: bool,
    opt_out_notification_methods: &'static [&'static str],
}

/// Notifications this client does not need. A command's whole output comes with its item.
const OPT_OUT: &[&str] = &[
    "app/list/updated",
    "command/exec/outputDelta",
    "item/commandExecution/outputDelta",
    "item/fileChange/outputDelta",
    "item/fileChange/patchUpdated",
    "item/plan/delta",
    "item/reasoning/summaryTextDelta",
    "item/reasoning/textDelta",
    "skills/changed",
    "thread/started",
    "thread/status/changed",
    "turn/diff/updated",
];

impl InitializeParams {
    pub(crate) fn new() -> Self {
        Self {
            client_info: ClientInfo {
                name: env!("CARGO_PKG_NAME"),
                title: "Codex MCP Server",
                version: env!("CARGO_PKG_VERSION"),
            },
            capabilities: Capabilities {
                experimental_api: true,
                opt_out_notification_methods: OPT_OUT,
            },
        }
    }
}

#[skip_serializing_none]
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ThreadStartParams<'a> {
    cwd: &'a Path,
    model: Option<&'a str>,
    sandbox: Sandbox,
    approval_policy: ApprovalPolicy,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    ephemeral: bool,
    base_instructions: Option<&'a str>,
    developer_instructions: Option<&'a str>,
    approvals_reviewer: Option<&'static str>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    config: Map<String, Value>,
}

impl<'a> ThreadStartParams<'a> {
    /// The parameters as this version of Codex takes them.
    pub(crate) fn new(
        settings: &'a ThreadSettings,
        sandbox: Sandbox,
        project: &Project,
        version: CodexVersion,
    ) -> Self {
        let options = &settings.options;
        Self {
            cwd: &settings.cwd,
            model: settings.model.as_deref(),
            sandbox,
            approval_policy: settings.approval_policy,
            ephemeral: settings.ephemeral,
            base_instructions: options.base_instructions.as_deref(),
            developer_instructions: options.developer_instructions.as_deref(),
            approvals_reviewer: options.reviewer.map(Reviewer::in_codex),
            config: config(settings, project, version),
        }
    }
}

/// Keys of Codex's configuration, dotted.
fn config(
    settings: &ThreadSettings,
    project: &Project,
    version: CodexVersion,
) -> Map<String, Value> {
    let options = &settings.options;
    let mut config = options.keys();
    project.hide(&mut config);
    let mut set = |key: &str, value: Value| {
        config.insert(key.to_owned(), value);
    };
    if version >= CodexVersion::ASKS_FOR_TRUST && version < CodexVersion::HIDES_IN_SNAPSHOTS {
        set("features.shell_snapshot", false.into());
    }
    if !project.is_trusted && version < CodexVersion::ASKS_FOR_RULES {
        // A turn can lay rules in the folder, which a thread that it begins itself would take.
        set("features.collab", false.into());
        set("features.multi_agent", false.into());
        if version < CodexVersion::NO_SWITCH_FOR_RULES {
            set("features.exec_policy", false.into());
        }
    }
    if let Some(effort) = &settings.effort {
        set("model_reasoning_effort", effort.as_str().into());
    }
    if let Some(search) = options.web_search {
        let is_on = search != WebSearch::Off;
        if version >= CodexVersion::WEB_SEARCH_MODES {
            set("web_search", if is_on { "live" } else { "disabled" }.into());
            if search == WebSearch::LiveFull {
                set("tools.web_search.context_size", "high".into());
            }
        } else {
            set("tools.web_search", is_on.into());
        }
    }
    for server in &options.disabled_mcp_servers {
        set(&format!("mcp_servers.{server}.enabled"), false.into());
    }
    if let Some(uri) = &options.callback_uri {
        set("mcp_oauth_callback_url", uri.as_str().into());
    }
    config
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ThreadResumeParams<'a> {
    pub(crate) thread_id: &'a str,
    /// Else the reply carries the whole history: 5 MB for one big answer.
    pub(crate) exclude_turns: bool,
    /// Who answers, where the thread's record does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) model_provider: Option<&'a str>,
    #[serde(flatten)]
    pub(crate) settings: ThreadStartParams<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ThreadParams<'a> {
    pub(crate) thread_id: &'a str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GoalSetParams<'a> {
    pub(crate) thread_id: &'a str,
    pub(crate) status: &'static str,
}

#[derive(Debug, Serialize)]
pub(crate) struct NoParams {}

/// Not `Debug`: it is a secret.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(crate) enum LoginParams {
    ApiKey { api_key: String },
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ThreadNameParams<'a> {
    pub(crate) thread_id: &'a str,
    pub(crate) name: &'a str,
}

/// What is absent stays as it is on the thread. The sandbox is only here if it is to be wider than its name says:
/// directories that a thread is opened with stay writable for ever (from 0.140 on), those of a turn until another's.
#[skip_serializing_none]
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TurnStartParams<'a> {
    pub(crate) thread_id: &'a str,
    pub(crate) input: Vec<UserInput<'a>>,
    pub(crate) cwd: Option<&'a Path>,
    pub(crate) approval_policy: Option<ApprovalPolicy>,
    pub(crate) model: Option<&'a str>,
    pub(crate) effort: Option<&'a str>,
    pub(crate) output_schema: Option<&'a Value>,
    pub(crate) sandbox_policy: Option<&'a Value>,
    /// Comes back with the message, which tells it from the messages of others.
    pub(crate) client_user_message_id: Option<&'a str>,
}

#[skip_serializing_none]
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ThreadForkParams<'a> {
    pub(crate) thread_id: &'a str,
    pub(crate) last_turn_id: Option<&'a str>,
    pub(crate) exclude_turns: bool,
    #[serde(flatten)]
    pub(crate) settings: ThreadStartParams<'a>,
}

#[skip_serializing_none]
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ThreadListParams<'a> {
    pub(crate) cwd: Option<&'a Path>,
    pub(crate) search_term: Option<&'a str>,
    pub(crate) cursor: Option<&'a str>,
    pub(crate) limit: u32,
    /// Without it only those of the terminal and of editors are listed.
    pub(crate) source_kinds: [&'static str; 4],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TurnSteerParams<'a> {
    pub(crate) thread_id: &'a str,
    pub(crate) expected_turn_id: &'a str,
    pub(crate) input: Vec<UserInput<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub(crate) enum UserInput<'a> {
    Text { text: &'a str },
    LocalImage { path: &'a Path },
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TurnInterruptParams<'a> {
    pub(crate) thread_id: &'a str,
    pub(crate) turn_id: &'a str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InjectItemsParams<'a> {
    pub(crate) thread_id: &'a str,
    pub(crate) items: Vec<Value>,
}

#[derive(Debug, Serialize)]
pub(crate) struct ConfigReadParams<'a> {
    pub(crate) cwd: &'a Path,
}

#[skip_serializing_none]
#[derive(Debug, Serialize)]
pub(crate) struct ModelListParams {
    pub(crate) cursor: Option<String>,
}

/// A message as the Responses API spells it, which is what `thread/inject_items` takes.
pub(crate) fn response_item(item: &ContextItem) -> Value {
    let (role, kind) = match item.role {
        Role::User => ("user", "input_text"),
        Role::Assistant => ("assistant", "output_text"),
    };
    json!({"type": "message", "role": role, "content": [{"type": kind, "text": item.text}]})
}
