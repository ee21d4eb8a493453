//! `codex`: one turn in a session.

use std::path::{Path, PathBuf};

use rmcp::model::JsonObject;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Cx, Effect, Tool};
use crate::{
    codex::{ApprovalPolicy, CommandRun, FileChange, Sandbox, TurnStatus, Usage},
    mcp::{
        answer::{Answer, cut},
        arguments,
        error::{ToolError, failed_turn, interrupted_turn},
        schema,
    },
    session::{Reply, Request, SessionName, Settings},
};

pub(super) const TOOL: Tool = Tool {
    name: "codex",
    title: "Ask Codex",
    description: "Asks OpenAI's Codex, a coding agent, to do or answer something in a working directory, \
                  and waits for its answer. With a `sessionId` the conversation continues where that \
                  session left off, also after restarts; without one a new session is made, and the \
                  answer names it. What a call sets stays with the session.",
    effect: Effect::Acts,
    input: schema::of::<Input>,
    output: schema::of::<Output>,
    call: |cx, given| Box::pin(call(cx, given)),
};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Input {
    /// What Codex shall do or answer. It sees nothing of your conversation: include what it needs.
    #[schemars(length(min = 1))]
    prompt: String,
    /// Name of the conversation to continue or begin: 1 to 256 of A-Z a-z 0-9 _ -.
    #[schemars(with = "Option<String>", regex(pattern = "^[A-Za-z0-9_-]{1,256}$"))]
    session_id: Option<SessionName>,
    /// Forget what was said in the session first; its name and settings stay. Default: false.
    reset_session: Option<bool>,
    /// Model to use, from listModels. Leave out for the session's or the user's own.
    #[schemars(length(min = 1))]
    model: Option<String>,
    /// How hard the model thinks; low, medium and high always work, others where the model has them.
    reasoning_effort: Option<Effort>,
    /// What commands may touch: read-only; workspace-write (the working directory); danger-full-access
    /// (everything; only if the operator allows it).
    #[schemars(with = "Option<SandboxWord>")]
    sandbox: Option<Sandbox>,
    /// When Codex asks before acting: untrusted, on-request or never. What it asks is declined as long
    /// as nobody can be asked. Default: never.
    #[schemars(with = "Option<ApprovalWord>")]
    approval_policy: Option<ApprovalPolicy>,
    /// Short for sandbox workspace-write and approvalPolicy never. Default: false.
    full_auto: Option<bool>,
    /// Directory Codex works in; relative to where the server was started. Default: the session's, else
    /// that one.
    working_directory: Option<PathBuf>,
}

/// Every effort any version offers. Codex itself takes any word here and fails later.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Effort {
    None,
    Minimal,
    Low,
    Medium,
    High,
    Xhigh,
    Max,
    Ultra,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
#[expect(dead_code, reason = "only its schema is used")]
enum SandboxWord {
    ReadOnly,
    WorkspaceWrite,
    DangerFullAccess,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
#[expect(dead_code, reason = "only its schema is used")]
enum ApprovalWord {
    Untrusted,
    OnRequest,
    Never,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Output {
    /// Codex's answer.
    response: String,
    /// The session; pass it again to continue.
    session_id: String,
    /// Codex's own id of the conversation, for `codex resume`.
    thread_id: String,
    /// Codex's own id of the turn.
    turn_id: String,
    /// The turn's number in the session, from 1; for getSession.
    turn: u32,
    /// completed, interrupted or failed.
    status: &'static str,
    /// new, resumed (natively), or rebuilt (from this server's record of the last turns).
    continuity: &'static str,
    /// The model that answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    /// Who chose it: call, session, operator, codex-config, preferred or codex-default.
    model_source: &'static str,
    /// How hard it thought.
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_effort: Option<String>,
    /// What commands could touch.
    #[serde(skip_serializing_if = "Option::is_none")]
    sandbox: Option<&'static str>,
    /// When Codex asked.
    approval_policy: &'static str,
    /// Where Codex worked.
    working_directory: String,
    /// Tokens used by this turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<UsageView>")]
    usage: Option<Usage>,
    /// How long the turn took, in milliseconds.
    duration_ms: u64,
    /// Commands Codex ran, with their exit codes.
    #[schemars(with = "Vec<CommandView>")]
    commands: Vec<CommandRun>,
    /// Files Codex changed; kind is add, update or delete.
    #[schemars(with = "Vec<FileView>")]
    files_changed: Vec<FileChange>,
    /// How Codex was driven.
    engine: &'static str,
    /// The version of Codex.
    codex_version: String,
    /// Whether the answer was cut; getSession with this turn has all of it.
    truncated: bool,
    /// What to know besides.
    warnings: Vec<String>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
#[expect(dead_code, clippy::struct_field_names, reason = "only its schema is used")]
pub(super) struct UsageView {
    input_tokens: u64,
    cached_input_tokens: u64,
    output_tokens: u64,
    reasoning_output_tokens: u64,
    total_tokens: u64,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
#[expect(dead_code, reason = "only its schema is used")]
struct CommandView {
    command: String,
    exit_code: Option<i64>,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct FileView {
    path: String,
    kind: String,
}

async fn call(cx: &Cx, given: Option<JsonObject>) -> Result<Answer, ToolError> {
    let input: Input = arguments::read(given)?;
    let directory = &cx.sessions.config().directory;
    let (name, request) = input.into_request(directory)?;
    let reply = cx.sessions.send(name, request).await?;
    Ok(answer(reply, cx.max_text))
}

impl Input {
    fn into_request(self, base: &Path) -> Result<(Option<SessionName>, Request), ToolError> {
        if self.model.as_deref().is_some_and(|model| model.trim().is_empty()) {
            return Err(ToolError::argument(
                "model",
                "it is empty; leave it out to use the default",
            ));
        }
        let full_auto = self.full_auto.unwrap_or_default();
        let settings = Settings {
            model: self.model,
            reasoning_effort: self.reasoning_effort.map(|effort| effort.word().to_owned()),
            sandbox: self.sandbox.or(full_auto.then_some(Sandbox::WorkspaceWrite)),
            approval_policy: self.approval_policy.or(full_auto.then_some(ApprovalPolicy::Never)),
            working_directory: self.working_directory.map(|path| base.join(path)),
        };
        let reset = self.reset_session.unwrap_or_default();
        Ok((self.session_id, Request { prompt: self.prompt, settings, reset }))
    }
}

impl Effort {
    fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Xhigh => "xhigh",
            Self::Max => "max",
            Self::Ultra => "ultra",
        }
    }
}

/// Shows a reply; a failed or interrupted turn is an error with everything there is.
fn answer(reply: Reply, max_text: usize) -> Answer {
    let (response, truncated) = cut(&reply.response, max_text);
    let mut text = response.to_owned();
    if truncated {
        let length = reply.response.chars().count();
        let turn = reply.number;
        text += &format!(
            "\n[cut at {max_text} of {length} characters; getSession with turn {turn} has the rest]"
        );
    }
    for warning in &reply.warnings {
        text += &format!("\n[warning: {warning}]");
    }
    text = format!(
        "{text}\n\n[session {} · thread {} · {}]",
        reply.session,
        reply.thread_id,
        reply.continuity.as_str()
    );
    let (status, trouble) = match &reply.status {
        TurnStatus::Completed => ("completed", None),
        TurnStatus::Interrupted => ("interrupted", Some(interrupted_turn())),
        TurnStatus::Failed(failure) => ("failed", Some(failed_turn(failure))),
    };
    let output = Output {
        response: response.to_owned(),
        session_id: reply.session.to_string(),
        thread_id: reply.thread_id.to_string(),
        turn_id: reply.turn_id.0,
        turn: reply.number,
        status,
        continuity: reply.continuity.as_str(),
        model: reply.model,
        model_source: reply.model_source.as_str(),
        reasoning_effort: reply.reasoning_effort,
        sandbox: reply.sandbox.map(Sandbox::as_str),
        approval_policy: reply.approval_policy.as_str(),
        working_directory: reply.working_directory.display().to_string(),
        usage: reply.usage,
        duration_ms: u64::try_from(reply.duration.as_millis()).unwrap_or(u64::MAX),
        commands: reply.commands,
        files_changed: reply.files_changed,
        engine: reply.engine,
        codex_version: reply.codex_version,
        truncated,
        warnings: reply.warnings,
    };
    let answer = Answer::new(&output, text);
    match trouble {
        Some(trouble) => answer.with_trouble(trouble),
        None => answer,
    }
}
