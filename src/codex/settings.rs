//! What a thread and a turn are started with, in Codex's own words.

use std::{borrow::Cow, path::PathBuf};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use serde_with::skip_serializing_none;
use strum::IntoStaticStr;

/// What commands that Codex runs may touch. Ordered from the least to the most.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, IntoStaticStr,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Sandbox {
    /// They may read.
    ReadOnly,
    /// They may write in the working directory.
    WorkspaceWrite,
    /// They may do anything.
    DangerFullAccess,
}

/// When Codex asks before it runs something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum ApprovalPolicy {
    /// Before everything that is not known to be harmless.
    Untrusted,
    /// When the model wants to leave the sandbox. The alias is a policy Codex has given up (0.155).
    #[serde(alias = "on-failure")]
    OnRequest,
    /// Never: what needs an approval is refused.
    Never,
}

/// Who decides what Codex asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Reviewer {
    /// The user.
    User,
    /// A model of Codex's own (from 0.115).
    #[serde(alias = "guardian_subagent")]
    AutoReview,
}

/// The settings of a thread. They are sent at every start and resume, because what a resume inherits
/// differs by version.
#[derive(Debug, Clone, PartialEq)]
pub struct ThreadSettings {
    /// Where commands run.
    pub cwd: PathBuf,
    /// `None` leaves the choice to Codex.
    pub model: Option<String>,
    /// The reasoning effort. `None` leaves the choice to Codex.
    pub effort: Option<String>,
    /// Always sent; what a resume inherits differs by version.
    pub sandbox: Sandbox,
    /// Always sent; Codex's own default for the app-server is to ask.
    pub approval_policy: ApprovalPolicy,
    /// Keeps no record of the thread.
    pub ephemeral: bool,
    /// The rest, which most calls leave to the user's own configuration.
    pub options: ThreadOptions,
}

/// What else a thread is opened with, where a call wants it otherwise than the user's own configuration.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ThreadOptions {
    /// Whether and how the model can search the web.
    pub web_search: Option<WebSearch>,
    /// Codex's own MCP servers that are not started.
    pub disabled_mcp_servers: Vec<String>,
    /// Where MCP servers that ask for a login send the user back to.
    pub callback_uri: Option<String>,
    /// Where commands may write besides the working directory, with [`Sandbox::WorkspaceWrite`]. `None` says nothing: a
    /// resumed thread keeps what it was told.
    pub writable_roots: Option<Vec<PathBuf>>,
    /// The same, as the user's own configuration has it: Codex takes one list or the other.
    pub own_writable_roots: Vec<PathBuf>,
    /// Whether commands may use the network, with [`Sandbox::WorkspaceWrite`]. `None` leaves it to the user's own
    /// configuration.
    pub network: Option<bool>,
    /// Who decides what Codex asks. `None` leaves it to the user's own configuration.
    pub reviewer: Option<Reviewer>,
    /// What the model is told in place of Codex's own instructions.
    pub base_instructions: Option<String>,
    /// What the model is told besides.
    pub developer_instructions: Option<String>,
    /// What a profile of the user's own says besides the settings of [`super::Profile`].
    pub profile: Map<String, Value>,
    /// Any keys of Codex's configuration, dotted. They win over the profile.
    pub config: Map<String, Value>,
}

/// How the model can search the web.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum WebSearch {
    /// Not at all.
    Off,
    /// As it is now, not as a cache remembers it.
    Live,
    /// The same, with as much of each page as there can be.
    LiveFull,
}

/// The settings a turn really runs with, as Codex reported and accepted them. What it does not say is `None`. The doc comments
/// of the fields are what results' schemas say.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EffectiveSettings {
    /// The model that answered.
    #[serde(default)]
    pub model: Option<String>,
    /// How hard it thought.
    // Also `None` if the model's own default applies.
    #[serde(default)]
    pub reasoning_effort: Option<String>,
    /// What commands could touch.
    // Also `None` for a kind this server does not know.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub sandbox: Option<Sandbox>,
    /// When Codex asked.
    // Always `never` through `codex exec`.
    #[schemars(with = "String")]
    pub approval_policy: ApprovalPolicy,
    /// Where Codex worked.
    #[schemars(with = "String")]
    pub working_directory: PathBuf,
    /// Where commands could write besides, with workspace-write.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<String>")]
    pub writable_roots: Vec<PathBuf>,
    /// Whether commands could use the network, with workspace-write; absent if Codex does not say.
    #[serde(default)]
    pub network: Option<bool>,
    /// Who decided what Codex asked, if a model did.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub approvals_reviewer: Option<Reviewer>,
}

/// One turn on an open thread.
#[derive(Debug, Clone, PartialEq)]
pub struct TurnRequest {
    /// What the user says.
    pub text: String,
    /// Images that go with it; absolute paths.
    pub images: Vec<PathBuf>,
    /// The JSON schema of the answer, if it must have one.
    pub output_schema: Option<Value>,
    /// Where commands run.
    pub cwd: PathBuf,
    /// `None` keeps the one in force.
    pub model: Option<String>,
    /// `None` keeps the one in force.
    pub effort: Option<String>,
    /// When to ask.
    pub approval_policy: ApprovalPolicy,
}

/// A piece of an earlier conversation, given to a thread that has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextItem {
    /// Whose message it is.
    pub role: Role,
    /// What was said.
    pub text: String,
}

/// The author of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The user.
    User,
    /// The model.
    Assistant,
}

impl ThreadOptions {
    /// Whether a thread opened with these can serve a call that wants `other`. What the user's own
    /// configuration adds is only known when a thread is opened, so that does not count.
    pub(super) fn equals(&self, other: &Self) -> bool {
        let disabled_mcp_servers = self.disabled_mcp_servers.clone();
        let own_writable_roots = self.own_writable_roots.clone();
        *self == Self { disabled_mcp_servers, own_writable_roots, ..other.clone() }
    }

    /// Where commands may write besides the working directory, the user's own choice included, if a call says.
    pub(super) fn all_writable_roots(&self) -> Option<Vec<PathBuf>> {
        let roots = self.writable_roots.as_ref()?;
        Some(roots.iter().chain(&self.own_writable_roots).cloned().collect())
    }

    /// The keys of Codex's configuration that are set.
    pub(super) fn keys(&self) -> Map<String, Value> {
        let mut keys = self.profile.clone();
        keys.extend(self.config.clone());
        if let Some(network) = self.network {
            keys.insert("sandbox_workspace_write.network_access".to_owned(), network.into());
        }
        keys
    }
}

impl Sandbox {
    /// All of them, from the least to the most.
    pub const ALL: [Self; 3] = [Self::ReadOnly, Self::WorkspaceWrite, Self::DangerFullAccess];

    /// The name Codex and our own arguments use.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl ApprovalPolicy {
    /// All of them, from the most asking to the least.
    pub const ALL: [Self; 3] = [Self::Untrusted, Self::OnRequest, Self::Never];

    /// The name Codex and our own arguments use.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl Reviewer {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::User, Self::AutoReview];

    /// The name our own arguments use.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// The name that every version takes which has one at all.
    pub(super) fn in_codex(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::AutoReview => "guardian_subagent",
        }
    }
}

/// A plain list of words; what each means is said where it is asked for.
fn words<const N: usize>(words: [&str; N]) -> Schema {
    json_schema!({"type": "string", "enum": words.as_slice()})
}

impl JsonSchema for Sandbox {
    fn schema_name() -> Cow<'static, str> {
        "Sandbox".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        words(Self::ALL.map(Self::as_str))
    }

    fn inline_schema() -> bool {
        true
    }
}

impl JsonSchema for ApprovalPolicy {
    fn schema_name() -> Cow<'static, str> {
        "ApprovalPolicy".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        words(Self::ALL.map(Self::as_str))
    }

    fn inline_schema() -> bool {
        true
    }
}

impl JsonSchema for Reviewer {
    fn schema_name() -> Cow<'static, str> {
        "Reviewer".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        words(Self::ALL.map(Self::as_str))
    }

    fn inline_schema() -> bool {
        true
    }
}
