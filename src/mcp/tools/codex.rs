//! `codex`: one turn in a session.

use std::path::{Path, PathBuf};

use rmcp::model::JsonObject;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{
    run::run,
    tool::{Call, Callable, Cx, Effect, Outcome, TurnArguments},
    turn_view,
};
use crate::{
    mcp::{arguments, error::ToolError, schema},
    session::{
        ApprovalPolicy, ContentDigest, OnBusy, Origin, Profile, Request, Reviewer, Sandbox,
        SessionName, Settings, ThreadOptions, WebSearch, Work, WorktreeRequest,
    },
};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct AskCodex {
    /// What Codex shall do or answer. It sees nothing of your conversation: include what it needs.
    #[schemars(length(min = 1))]
    prompt: String,
    /// Name of the conversation to continue or begin: 1 to 256 of A-Z a-z 0-9 _ -.
    #[schemars(with = "Option<schema::Name>")]
    session_id: Option<SessionName>,
    /// Forget what was said in the session first; its name and settings stay. Default: false.
    reset_session: Option<bool>,
    /// Model to use. `listModels` lists them. Leave out for the session's or the user's own.
    #[schemars(length(min = 1))]
    model: Option<String>,
    /// How hard the model thinks: none, minimal, low, medium, high, xhigh, max or ultra, or any other word the model
    /// takes; listModels says which.
    #[schemars(length(min = 1))]
    reasoning_effort: Option<String>,
    /// What commands may touch: read-only; workspace-write (the working directory); danger-full-access
    /// (everything; only if the operator allows it).
    sandbox: Option<Sandbox>,
    /// When Codex asks before acting: untrusted, on-request or never. What it asks is declined where the
    /// user cannot be asked. Default: on-request where they can, else never.
    #[serde(alias = "approval-policy")]
    approval_policy: Option<ApprovalPolicy>,
    /// Directories that commands may write in besides, with sandbox workspace-write, if the operator allows them.
    writable_roots: Option<Vec<PathBuf>>,
    /// Whether commands may use the network, with sandbox workspace-write, if the operator allows it.
    network: Option<bool>,
    /// Who decides what Codex asks: user, or `auto_review` (a model of Codex's, if the operator allows it).
    approvals_reviewer: Option<Reviewer>,
    /// Short for sandbox workspace-write and approvalPolicy never. Default: false.
    full_auto: Option<bool>,
    /// Directory Codex works in; relative to where the server was started. Default: the session's, else
    /// that one.
    #[serde(alias = "cwd")]
    working_directory: Option<PathBuf>,
    /// Codex's own id of a conversation to continue, also one begun in a terminal; in place of sessionId.
    #[serde(alias = "conversationId")]
    thread_id: Option<String>,
    /// Image files to look at (PNG, JPEG, GIF or `WebP`), up to 10 of 20 MB each.
    #[schemars(length(max = 10))]
    images: Option<Vec<PathBuf>>,
    /// JSON Schema of an object the answer must be; it is then also in the result's `output`.
    #[schemars(with = "Option<JsonObject>")]
    output_schema: Option<Value>,
    /// Whether Codex may search the live web in this turn. Default: as the user's configuration says.
    web_search: Option<bool>,
    /// Keep nothing: no session, no record in Codex. Default: false.
    ephemeral: Option<bool>,
    /// Where MCP servers of Codex that ask for a login send the user back to.
    callback_uri: Option<String>,
    /// Work in a git worktree of the session's own, on a branch of its own, so that nothing here changes until `worktree`
    /// applies it. Default: false.
    worktree: Option<bool>,
    /// Commit or branch that a new worktree begins with. Default: what is checked out.
    #[schemars(length(min = 1))]
    worktree_base: Option<String>,
    /// Bring what is not committed yet into a new worktree. Default: false.
    worktree_changes: Option<bool>,
    /// If the session is running a turn: queue (wait for it), steer (say this to the running turn and
    /// share its answer) or reject. Default: queue.
    on_busy: Option<Busy>,
    // Spellings of Codex's own removed MCP server: taken from everybody, shown to its clients.
    #[serde(alias = "base-instructions")]
    #[schemars(skip)]
    base_instructions: Option<String>,
    #[serde(alias = "developer-instructions")]
    #[schemars(skip)]
    developer_instructions: Option<String>,
    #[schemars(skip)]
    profile: Option<String>,
    #[schemars(skip)]
    config: Option<JsonObject>,
}

impl Callable for AskCodex {
    const NAME: &'static str = "codex";
    const HIDDEN: &'static [&'static str] = &[
        "approval-policy",
        "base-instructions",
        "baseInstructions",
        "config",
        "conversationId",
        "cwd",
        "developer-instructions",
        "developerInstructions",
        "profile",
    ];
    const TITLE: &'static str = "Ask Codex";
    const DESCRIPTION: &'static str = "Asks OpenAI's Codex, a coding agent, to do or answer something in a working directory, \
                  and waits for its answer (or, with `waitSeconds`, starts it). With a `sessionId` the conversation continues where that \
                  session left off, also after restarts; without one a new session is made, and the \
                  answer names it. What a call sets stays with the session.";
    const EFFECT: Effect = Effect::Acts;
    const BEGINS_TURNS: bool = true;

    type Output = turn_view::Output;

    async fn call(self, cx: &Cx, Call { caller, turn }: Call<'_>) -> Result<Outcome, ToolError> {
        let mut input = self;
        let wait = turn.wait()?;
        if input.callback_uri.is_none() {
            input.callback_uri = default_callback(cx).await;
        }
        let callback_uri = input.callback_uri.clone();
        let config = cx.sessions.config();
        let (images, most) = (input.images.iter().flatten().count(), config.limits.images);
        if images > most {
            let reason = format!("there are {images} of them, and {most} are allowed");
            return Err(ToolError::argument("images", &reason));
        }
        let profile = match &input.profile {
            Some(profile) => chosen_profile(cx, profile)?,
            None => Profile::default(),
        };
        let can_ask = caller.can_ask(input.session_id.is_some() || input.thread_id.is_some());
        let (name, mut request) = input.into_request(cx.directory(), profile, can_ask, &turn)?;
        request.beside.extend(callback_uri.map(|uri| ("callbackUri".to_owned(), uri.into())));
        run(cx, caller, name, request, wait).await
    }
}

/// What the vendor's server took besides, and how its clients knew it.
pub(super) const VENDOR_ARGUMENTS: &[(&str, &str, &str)] = &[
    ("approval-policy", "string", "When Codex asks: untrusted, on-request, never."),
    ("base-instructions", "string", "Instructions in place of Codex's own."),
    ("config", "object", "Keys of Codex's configuration, as far as the operator allows them."),
    ("cwd", "string", "Directory Codex works in."),
    ("developer-instructions", "string", "Instructions besides Codex's own."),
    ("profile", "string", "A profile of Codex's configuration."),
];

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Busy {
    Queue,
    Steer,
    Reject,
}

/// The operator's callback URI. `None` for a Codex that takes none, which would refuse the call.
pub(super) async fn default_callback(cx: &Cx) -> Option<String> {
    let uri = cx.callback_uri.clone()?;
    let found = cx.sessions.inspect_codex().await.ok()?;
    (found.engine() != "exec").then_some(uri)
}

fn chosen_profile(cx: &Cx, name: &str) -> Result<Profile, ToolError> {
    let profile = cx.sessions.profile(name)?;
    profile.ok_or_else(|| {
        let places = format!("`{name}.config.toml` beside it, or `[profiles.{name}]` in it");
        let reason = format!("Codex's configuration has no such profile ({places})");
        ToolError::argument("profile", &reason)
    })
}

impl AskCodex {
    fn into_request(
        self,
        base: &Path,
        profile: Profile,
        can_ask: bool,
        turn: &TurnArguments,
    ) -> Result<(Option<SessionName>, Request), ToolError> {
        if self.model.as_deref().is_some_and(|model| model.trim().is_empty()) {
            return Err(ToolError::argument(
                "model",
                "it is empty; leave it out to use the default",
            ));
        }
        if self.reasoning_effort.as_deref().is_some_and(|effort| effort.trim().is_empty()) {
            let reason = "it is empty; leave it out to use the default";
            return Err(ToolError::argument("reasoningEffort", reason));
        }
        let full_auto = self.full_auto.unwrap_or_default();
        let settings = Settings {
            model: self.model.or(profile.model),
            reasoning_effort: self.reasoning_effort.or(profile.reasoning_effort),
            sandbox: self
                .sandbox
                .or(full_auto.then_some(Sandbox::WorkspaceWrite))
                .or(profile.sandbox),
            approval_policy: self
                .approval_policy
                .or(full_auto.then_some(ApprovalPolicy::Never))
                .or(profile.approval_policy),
            working_directory: self.working_directory.map(|path| base.join(path)),
            writable_roots: self
                .writable_roots
                .map(|roots| roots.into_iter().map(|path| base.join(path)).collect()),
            network: self.network,
            approvals_reviewer: self.approvals_reviewer,
            worktree: self.worktree,
        };
        let name = match (self.session_id, self.thread_id) {
            (Some(_), Some(_)) => {
                return Err(ToolError::argument("threadId", "pass it or `sessionId`, not both"));
            }
            (name, None) => name,
            (None, Some(thread)) => Some(arguments::thread("threadId", &thread)?),
        };
        let ephemeral = self.ephemeral.unwrap_or_default();
        if ephemeral && name.is_some() {
            let reason = "nothing is kept of such a call, so it has no session";
            return Err(ToolError::argument("ephemeral", reason));
        }
        let worktree = worktree(
            self.worktree_base,
            self.worktree_changes.unwrap_or_default(),
            settings.worktree,
            ephemeral,
        )?;
        let timeout = turn.timeout()?;
        let images = self.images.unwrap_or_default();
        let mut config = self.config.unwrap_or_default();
        // These have arguments of their own, with limits.
        let own =
            [("model", &settings.model), ("model_reasoning_effort", &settings.reasoning_effort)];
        for (key, chosen) in own {
            if chosen.is_some() {
                config.remove(key);
            }
        }
        let search = self.web_search.map(|on| if on { WebSearch::Live } else { WebSearch::Off });
        let request = Request {
            prompt: self.prompt,
            work: Work::Ask {
                images: images.into_iter().map(|path| base.join(path)).collect(),
                output_schema: self.output_schema,
            },
            settings,
            reset: self.reset_session.unwrap_or_default(),
            ephemeral,
            options: ThreadOptions {
                web_search: search,
                callback_uri: self.callback_uri,
                base_instructions: self.base_instructions,
                developer_instructions: self.developer_instructions,
                config,
                profile: profile.rest,
                ..ThreadOptions::default()
            },
            worktree,
            on_busy: match self.on_busy {
                None | Some(Busy::Queue) => OnBusy::Queue,
                Some(Busy::Steer) => OnBusy::Steer,
                Some(Busy::Reject) => OnBusy::Reject,
            },
            timeout,
            can_ask,
            detached: turn.detached(),
            joins: self.on_busy.is_none(),
            beside: JsonObject::new(),
            origin: Origin::default(),
            content: ContentDigest::default(),
        };
        Ok((name, request))
    }
}

/// What a new worktree begins with.
fn worktree(
    base: Option<String>,
    changes: bool,
    is_wanted: Option<bool>,
    ephemeral: bool,
) -> Result<WorktreeRequest, ToolError> {
    if changes && base.is_some() {
        let reason =
            "what is not committed belongs to what is checked out; leave out `worktreeBase`";
        return Err(ToolError::argument("worktreeChanges", reason));
    }
    if (changes || base.is_some()) && is_wanted == Some(false) {
        return Err(ToolError::argument("worktree", "it is false, so there is none to begin"));
    }
    if ephemeral && is_wanted == Some(true) {
        let reason = "nothing is kept of such a call, so its changes would be lost";
        return Err(ToolError::argument("worktree", reason));
    }
    Ok(WorktreeRequest { base, changes })
}
