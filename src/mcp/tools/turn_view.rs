//! How a turn looks in results: the same for every tool that runs or waits for one.

use rmcp::model::JsonObject;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::{
    parts::{CommandView, FileView, FindingView, LimitsView, SourceView, UsageView, WorktreeView},
    tool::{Cx, Outcome},
};
use crate::{
    mcp::{
        answer::Answer,
        call::{CallProgress, CallState},
        cut::cut,
        error::{UserError, cancelled_turn, failed_turn, interrupted_turn},
        resources,
    },
    session::{
        CommandRun, Continuity, Detached, FileChange, Finding, ModelSource, QueuePosition, Reply,
        Reviewer, Sandbox, SessionName, SessionStatus, Source, Usage, Verdict, WorktreeState,
    },
};

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the names are the wire's")]
pub(super) struct Output {
    /// Codex's answer.
    response: String,
    /// The session; pass it again to continue. Absent if nothing was kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<String>,
    /// The same as response, for clients of Codex's own removed server.
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<String>,
    /// The answer as JSON, if an outputSchema was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<JsonObject>")]
    output: Option<Value>,
    /// What a review came to: approve or needs-attention.
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<&'static str>,
    /// What a review found, worst first.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Vec<FindingView>>")]
    findings: Option<Vec<Finding>>,
    /// Pages the answer rests on, where Codex or the answer names them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Vec<SourceView>>")]
    sources: Option<Vec<Source>>,
    /// Codex's own id of the conversation, for `codex resume`.
    #[serde(skip_serializing_if = "Option::is_none")]
    thread_id: Option<String>,
    /// Codex's own id of the turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    turn_id: Option<String>,
    /// The turn's number in the session, from 1; for getSession and wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    turn: Option<u32>,
    /// completed, interrupted, failed, or running (use the wait tool for the answer).
    status: &'static str,
    /// new, resumed (natively), or rebuilt (from this server's record of the last turns).
    #[serde(skip_serializing_if = "Option::is_none")]
    continuity: Option<&'static str>,
    /// The machine that the conversation was moved from for this turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    moved_from: Option<String>,
    /// The model that answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    /// Who chose it: call, session, operator, codex-config, preferred or codex-default.
    #[serde(skip_serializing_if = "Option::is_none")]
    model_source: Option<&'static str>,
    /// How hard it thought.
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_effort: Option<String>,
    /// What commands could touch.
    #[serde(skip_serializing_if = "Option::is_none")]
    sandbox: Option<&'static str>,
    /// When Codex asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    approval_policy: Option<&'static str>,
    /// Where Codex worked.
    #[serde(skip_serializing_if = "Option::is_none")]
    working_directory: Option<String>,
    /// Where commands could write besides, with workspace-write.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    writable_roots: Vec<String>,
    /// Whether commands could use the network, with workspace-write; absent if Codex does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    network: Option<bool>,
    /// Who decided what Codex asked, if a model did.
    #[serde(skip_serializing_if = "Option::is_none")]
    approvals_reviewer: Option<&'static str>,
    /// What is in the session's worktree, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<WorktreeView>")]
    worktree: Option<WorktreeState>,
    /// Tokens used by this turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<UsageView>")]
    usage: Option<Usage>,
    /// How much of the account's allowance is used, where Codex says.
    #[serde(skip_serializing_if = "Option::is_none")]
    rate_limits: Option<LimitsView>,
    /// How long the turn took, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_ms: Option<u64>,
    /// Commands Codex ran, with their exit codes.
    #[schemars(with = "Vec<CommandView>")]
    commands: Vec<CommandRun>,
    /// Files Codex changed; kind is add, update or delete.
    #[schemars(with = "Vec<FileView>")]
    files_changed: Vec<FileChange>,
    /// How Codex was driven.
    #[serde(skip_serializing_if = "Option::is_none")]
    engine: Option<String>,
    /// The version of Codex.
    #[serde(skip_serializing_if = "Option::is_none")]
    codex_version: Option<String>,
    /// Whether the answer was cut; getSession with this turn, or the linked resource, has all of it.
    truncated: bool,
    /// True if this call repeats an earlier one whose answer nobody had: it got that turn, and no second one ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    joined: Option<bool>,
    /// What to know besides.
    warnings: Vec<String>,
}

/// Shows how far a call has come.
pub(in crate::mcp) fn outcome(progress: CallProgress, cx: &Cx) -> Outcome {
    let CallProgress { state, warnings, joined } = progress;
    let mut answer = match state {
        CallState::InputRequired(asked) => return Outcome::InputRequired(asked),
        CallState::Task(task) => return Outcome::Task(task),
        CallState::Over(reply) => over(&reply, cx),
        CallState::Running(_, Detached::Begun(reply)) => running(&reply, cx),
        CallState::Running(session, Detached::Queued(position)) => {
            waiting(&session, Some(position), None, cx)
        }
        CallState::Running(session, Detached::Unseen(turn)) => waiting(&session, None, turn, cx),
    };
    for warning in &warnings {
        answer.warn(warning);
    }
    if joined {
        answer.mark_joined();
    }
    answer.into()
}

/// Shows a turn that is over; one that failed or was interrupted is an error with everything there is.
pub(in crate::mcp) fn over(reply: &Reply, cx: &Cx) -> Answer {
    let turn = &reply.turn;
    let error = match turn.status {
        SessionStatus::Failed => {
            let failure = turn.details.failure.as_ref();
            let back_at = turn.details.rate_limits.and_then(|limits| limits.back_at());
            Some(failure.map_or_else(unknown_failure, |failure| failed_turn(failure, back_at)))
        }
        SessionStatus::Interrupted => Some(interrupted_turn(turn.details.stopped)),
        SessionStatus::Cancelled => {
            let reason = turn.details.failure.as_ref().map(|failure| failure.message.as_str());
            Some(cancelled_turn(turn.details.stopped, reason))
        }
        _ => None,
    };
    let answer = answer(reply, cx, "");
    match error {
        Some(error) => answer.with_error(error),
        None => answer,
    }
}

/// Shows a turn that goes on.
fn running(reply: &Reply, cx: &Cx) -> Answer {
    let number = reply.turn.number;
    let collect = cx.how_to_collect(reply.session.as_str(), Some(number));
    let stop = if cx.offers("interrupt") { " Stop it with interrupt." } else { "" };
    let note = format!("\n[turn {number} is still running. {collect}{stop}]");
    answer(reply, cx, &note)
}

/// Shows a call whose turn has not begun, or cannot be seen from here.
fn waiting(
    session: &SessionName,
    position: Option<QueuePosition>,
    turn: Option<u32>,
    cx: &Cx,
) -> Answer {
    let how = match position {
        Some(QueuePosition { not_before: Some(until), .. }) => {
            format!("the turn has not begun; it waits for the account's usage limit, until {until}")
        }
        Some(position) => format!("the turn has not begun; {} before it", turns(position.ahead)),
        None => "the turn is under way".to_owned(),
    };
    let turn = position.and_then(|position| position.turn).or(turn);
    let output = Output { turn, ..Output::empty(session.to_string(), "running") };
    let collect = cx.how_to_collect(session.as_str(), turn);
    let text = format!("Session {session} is running: {how}. {collect}");
    Answer::new(&output, text)
}

fn answer(reply: &Reply, cx: &Cx, note: &str) -> Answer {
    let Reply { session, turn } = reply;
    let max_text = cx.max_text;
    let (response, truncated) = cut(&turn.response, max_text);
    let mut text = response.to_owned();
    let number = turn.number;
    if truncated {
        let length = turn.response.chars().count();
        text += &format!(
            "\n[cut at {max_text} of {length} characters; getSession with turn {number} has the rest]"
        );
    }
    let (commands, files_changed) = (turn.commands(), turn.files_changed());
    let (warnings, sources) = (turn.warnings(), turn.sources());
    for warning in &warnings {
        text += &format!("\n[warning: {warning}]");
    }
    text += note;
    let details = turn.details.clone();
    let is_kept = !details.ephemeral || turn.status == SessionStatus::Running;
    let parts = [
        is_kept.then(|| format!("session {session}")),
        details.thread_id.as_ref().map(|id| format!("thread {id}")),
        details.continuity.map(|continuity| continuity.as_str().to_owned()),
        details.moved_from.as_ref().map(|machine| format!("moved from {machine}")),
    ];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    text = format!("{text}\n\n[{}]", parts.join(" · "));
    let size = turn.response.len();
    let beside = [
        ("threadId", details.thread_id.as_ref().map(ToString::to_string)),
        ("model", details.effective.as_ref().and_then(|effective| effective.model.clone())),
        ("sessionId", is_kept.then(|| session.to_string())),
    ];
    let beside = beside.into_iter().filter_map(|(key, text)| Some((key.to_owned(), text?.into())));
    let beside = beside.chain(details.beside);
    let links: Vec<_> = sources.iter().map(resources::page).collect();
    let effective = details.effective;
    let is_writing =
        effective.as_ref().filter(|with| with.sandbox == Some(Sandbox::WorkspaceWrite));
    let output = Output {
        session_id: is_kept.then(|| session.to_string()),
        content: cx.is_vendor.then(|| response.to_owned()),
        output: details.output,
        verdict: details.verdict.map(Verdict::as_str),
        findings: details.findings,
        sources: Some(sources).filter(|sources| !sources.is_empty()),
        response: response.to_owned(),
        thread_id: details.thread_id.map(|id| id.to_string()),
        turn_id: details.turn_id.map(|id| id.0),
        turn: Some(number),
        continuity: details.continuity.map(Continuity::as_str),
        moved_from: details.moved_from,
        model_source: details.model_source.map(ModelSource::as_str),
        approval_policy: effective.as_ref().map(|with| with.approval_policy.as_str()),
        working_directory: effective
            .as_ref()
            .map(|with| with.working_directory.display().to_string()),
        sandbox: effective.as_ref().and_then(|with| with.sandbox).map(Sandbox::as_str),
        writable_roots: is_writing
            .into_iter()
            .flat_map(|with| &with.writable_roots)
            .map(|root| root.display().to_string())
            .collect(),
        network: is_writing.and_then(|with| with.network),
        approvals_reviewer: effective
            .as_ref()
            .and_then(|with| with.approvals_reviewer)
            .filter(|reviewer| *reviewer != Reviewer::User)
            .map(Reviewer::as_str),
        model: effective.as_ref().and_then(|with| with.model.clone()),
        reasoning_effort: effective.and_then(|with| with.reasoning_effort),
        worktree: details.worktree,
        usage: details.usage,
        rate_limits: details.rate_limits.map(LimitsView::from),
        duration_ms: details.duration_ms,
        commands,
        files_changed,
        engine: details.engine,
        codex_version: details.codex_version,
        truncated,
        warnings,
        ..Output::empty(session.to_string(), turn.status.as_str())
    };
    let answer = Answer::new(&output, text).with_beside(beside.collect());
    let answer = links.into_iter().fold(answer, Answer::with_link);
    if truncated { answer.with_link(resources::link(session, number, size)) } else { answer }
}

fn unknown_failure() -> UserError {
    let message = "The turn failed and nobody said why.";
    UserError::new("turn_failed", message, "Call again; the session goes on.")
}

fn turns(count: usize) -> String {
    if count == 1 { "one turn is".to_owned() } else { format!("{count} turns are") }
}

impl Output {
    fn empty(session_id: String, status: &'static str) -> Self {
        Self {
            response: String::new(),
            session_id: Some(session_id),
            content: None,
            output: None,
            verdict: None,
            findings: None,
            sources: None,
            thread_id: None,
            turn_id: None,
            turn: None,
            status,
            continuity: None,
            moved_from: None,
            model: None,
            model_source: None,
            reasoning_effort: None,
            sandbox: None,
            approval_policy: None,
            working_directory: None,
            writable_roots: Vec::new(),
            network: None,
            approvals_reviewer: None,
            worktree: None,
            usage: None,
            rate_limits: None,
            duration_ms: None,
            commands: Vec::new(),
            files_changed: Vec::new(),
            engine: None,
            codex_version: None,
            truncated: false,
            joined: None,
            warnings: Vec::new(),
        }
    }
}
