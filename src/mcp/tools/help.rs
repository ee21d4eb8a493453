//! `help`: how to use this server, and what it found here.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::tool::{Call, Callable, Cx, Effect, Outcome};
use crate::{
    mcp::{answer::Answer, error::ToolError},
    session::{Missing, Sandbox, SessionRecord, SessionStatus, store::Page},
};

/// How many sessions are looked through for running turns, the last used first.
const RUNNING_LOOKED_AT: u32 = 200;

/// The lines of the guide, each with the tools it is about. It is left out if one of them is not offered.
const GUIDE: [(&[&str], &str); 12] = [
    (
        &["codex"],
        "Begin or continue a conversation: codex {prompt, sessionId}. The same sessionId continues it, after \
         any time and any restart, until it has not been used for its time to live.",
    ),
    (&["codex"], "Without a sessionId a new session is made; the answer says which."),
    (&["codex"], "Start over under the same name: codex {prompt, sessionId, resetSession: true}."),
    (
        &["codex"],
        "What a call sets (model, reasoningEffort, sandbox, approvalPolicy, workingDirectory) stays with the \
         session.",
    ),
    (&["codex"], "Let Codex change files: sandbox workspace-write."),
    (
        &["codex", "wait"],
        "Long work: codex {prompt, sessionId, waitSeconds: 0} starts it, wait {sessionId} gets the answer.",
    ),
    (&["steer"], "Add something to a running turn: steer {sessionId, prompt}."),
    (&["interrupt"], "Stop a running turn: interrupt {sessionId}."),
    (&["review"], "Review code: review {base}."),
    (&["websearch"], "Search the web: websearch {query}."),
    (&["forkSession"], "Try something else from here: forkSession {sessionId}."),
    (
        &["listSessions", "getSession", "listModels"],
        "See what there is: listSessions, getSession, listModels.",
    ),
];

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct Help {}

impl Callable for Help {
    const NAME: &'static str = "help";
    const TITLE: &'static str = "Help";
    const DESCRIPTION: &'static str =
        "Explains how to use this server and says which Codex it found and what is allowed.";
    const EFFECT: Effect = Effect::Reads;

    type Output = Output;

    async fn call(self, cx: &Cx, _: Call<'_>) -> Result<Outcome, ToolError> {
        let config = cx.sessions.config();
        let lines = GUIDE.iter().filter(|(tools, _)| tools.iter().all(|tool| cx.offers(tool)));
        let guide = lines.map(|(_, line)| *line).collect::<Vec<_>>().join("\n");
        let codex = CodexView::inspect(cx).await;
        let found = match &codex {
            CodexView { version: Some(version), binary: Some(binary), .. } => {
                let engine = codex.engine.unwrap_or_default();
                let mut found = format!("Codex {version} at {binary}, driven by {engine}.");
                if !codex.lacks.is_empty() {
                    found += &format!(" This version lacks: {}.", codex.lacks.join("; "));
                }
                found
            }
            CodexView { trouble, .. } => trouble.clone().unwrap_or_default(),
        };
        let running = running(cx).await;
        let mut text =
            format!("{guide}\n\ncodex-mcp-server {}. {found}", env!("CARGO_PKG_VERSION"));
        if !running.is_empty() {
            let named = running.iter().map(|now| format!("{} (turn {})", now.session_id, now.turn));
            let named: Vec<_> = named.collect();
            text += &format!("\nRunning now: {}.", named.join(", "));
        }
        let output = Output {
            guide,
            tools: cx.offer.names().to_vec(),
            server_version: env!("CARGO_PKG_VERSION"),
            codex,
            running,
            limits: Limits {
                sandbox_ceiling: Sandbox::as_str(config.limits.sandbox_ceiling),
                sessions: config.session.cap,
                session_ttl_seconds: config.session.ttl.0.as_secs(),
                prompt_characters: config.limits.prompt_characters,
                roots: config.limits.roots.iter().map(|root| root.display().to_string()).collect(),
                models: config.limits.models.clone(),
            },
            warnings: Vec::new(),
        };
        Ok(Answer::new(&output, text).into())
    }
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Output {
    /// How to use it.
    guide: String,
    /// The tools there are.
    tools: Vec<&'static str>,
    /// This server's version.
    server_version: &'static str,
    /// The Codex that was found.
    codex: CodexView,
    /// Turns that run now, in any window; `wait`, `steer` and `interrupt` reach them.
    running: Vec<Running>,
    /// What the operator allows and decided.
    limits: Limits,
    /// What to know besides.
    warnings: Vec<String>,
}

#[skip_serializing_none]
#[derive(Debug, Default, Serialize, JsonSchema)]
struct CodexView {
    /// Where it is; absent if there is none.
    binary: Option<String>,
    /// Its version.
    version: Option<String>,
    /// Why this one was taken.
    reason: Option<&'static str>,
    /// Others that were found and not taken.
    others: Vec<String>,
    /// How it is driven: app-server, or exec (one process per turn, for Codex before 0.72).
    engine: Option<&'static str>,
    /// What this version cannot do of what this server offers.
    lacks: Vec<&'static str>,
    /// What is wrong with it; absent if it can be used.
    trouble: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Running {
    /// The session.
    session_id: String,
    /// The number of the turn.
    turn: u32,
    /// When it began (RFC 3339).
    since: String,
    /// How many turns wait behind it.
    #[serde(skip_serializing_if = "Option::is_none")]
    queued: Option<u32>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Limits {
    /// The widest sandbox.
    sandbox_ceiling: &'static str,
    /// How many sessions are kept.
    sessions: usize,
    /// Seconds a session lives after its last use.
    session_ttl_seconds: u64,
    /// The longest prompt, in characters.
    prompt_characters: usize,
    /// Directories that work must be below; any if empty.
    roots: Vec<String>,
    /// Models a call may name; any if empty.
    models: Vec<String>,
}

/// The turns that run now, in this server or another one.
async fn running(cx: &Cx) -> Vec<Running> {
    if !cx.offers("listSessions") {
        return Vec::new();
    }
    // Help is given also when the store cannot be read.
    let Ok(listing) = cx.sessions.list(&Page::first(RUNNING_LOOKED_AT)).await else {
        return Vec::new();
    };
    let waiting = cx.sessions.waiting().await.unwrap_or_default();
    let running =
        listing.sessions.into_iter().filter(|known| known.status == SessionStatus::Running);
    let view = |known: SessionRecord| Running {
        queued: waiting.get(&known.name).copied(),
        session_id: known.name.to_string(),
        turn: known.last_turn,
        since: known.last_accessed_at.to_string(),
    };
    running.map(view).collect()
}

/// What an old Codex keeps this server from offering, one phrase each.
pub(crate) fn missing_in_words(missing: &[Missing]) -> Vec<&'static str> {
    let words = |missing: &Missing| match missing {
        Missing::Approvals => "approvals: what would need one is refused by Codex itself",
        Missing::ListingModels => "listModels",
        Missing::ListingThreads => "listSessions with includeThreads",
        Missing::Ephemeral => "ephemeral calls",
        Missing::Instructions => "instructions with a call",
        Missing::Fork => "forking its threads: forkSession rebuilds from this server's record",
        Missing::Steer => "steer, and onBusy steer",
        Missing::ContextItems => "context as items: a rebuilt one stands before the prompt",
    };
    missing.iter().map(words).collect()
}

impl CodexView {
    async fn inspect(cx: &Cx) -> Self {
        match cx.sessions.inspect_codex().await {
            Ok(found) => Self {
                binary: Some(found.binary.display().to_string()),
                version: Some(found.version.to_string()),
                reason: Some(found.reason),
                others: found.others.iter().map(|path| path.display().to_string()).collect(),
                engine: Some(found.engine()),
                lacks: missing_in_words(&found.version.lacks()),
                trouble: None,
            },
            Err(error) => Self { trouble: Some(error.to_string()), ..Self::default() },
        }
    }
}
