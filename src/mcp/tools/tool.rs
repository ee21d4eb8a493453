//! What a tool is: its definition, its call, its outcome. Knows no tool.

use std::{path::Path, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use rmcp::model::{CreateTaskResult, InputRequiredResult, JsonObject, ToolAnnotations};
use schemars::JsonSchema;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{
    mcp::{
        answer::Answer,
        arguments,
        call::{Caller, RequestStateCodec},
        error::ToolError,
        offer::Offer,
        schema,
    },
    session::{Origin, Sessions, Verb},
};

/// What a tool works with.
#[derive(Debug, Clone)]
pub(in crate::mcp) struct Cx {
    pub(in crate::mcp) sessions: Sessions,
    pub(in crate::mcp) codec: Arc<RequestStateCodec>,
    /// The longest text one result carries, in characters.
    pub(in crate::mcp) max_text: usize,
    /// The tools that are offered.
    pub(in crate::mcp) offer: Offer,
    /// Whether clients of Codex's own removed server are served: they read other fields.
    pub(in crate::mcp) is_vendor: bool,
    /// Where this client's calls come from.
    pub(in crate::mcp) origin: Origin,
    /// Whether the caller is on another machine.
    pub(in crate::mcp) is_remote: bool,
    /// Where MCP servers of Codex send the user back to after a login, unless a call says.
    pub(in crate::mcp) callback_uri: Option<String>,
}

impl Cx {
    /// Where relative paths of this client's calls begin.
    pub(in crate::mcp) fn directory(&self) -> &Path {
        self.origin.directory.as_ref().unwrap_or(&self.sessions.config().directory)
    }

    /// Fails if the caller may not do this.
    pub(in crate::mcp) fn allows(&self, verb: Verb) -> Result<(), ToolError> {
        Ok(self.sessions.caller().check(verb)?)
    }

    /// Whether the operator lets clients use the tool of this name.
    pub(in crate::mcp) fn offers(&self, name: &str) -> bool {
        self.offer.has(name)
    }

    /// Says how to get the answer of a running turn with the tools that are offered; `turn` is its number,
    /// if it is known.
    pub(in crate::mcp) fn how_to_collect(&self, session: &str, turn: Option<u32>) -> String {
        let arguments = match turn {
            Some(turn) => json!({"sessionId": session, "turn": turn}),
            None => json!({"sessionId": session}),
        };
        if self.offers("wait") {
            format!("Get its answer with wait {arguments}.")
        } else if self.offers("getSession") {
            format!("Read its answer with getSession {arguments} when it is over.")
        } else {
            format!("`codex-mcp-server wait {session}` in a terminal prints its answer.")
        }
    }
}

/// The arguments of a tool, and what a call with them does.
pub(super) trait Callable: DeserializeOwned + JsonSchema + Send + 'static {
    /// The tool's name.
    const NAME: &'static str;
    /// Arguments it accepts but does not list.
    const HIDDEN: &'static [&'static str] = &[];
    const TITLE: &'static str;
    const DESCRIPTION: &'static str;
    const EFFECT: Effect;
    /// Whether a call begins a turn, so that it has [`TurnArguments`] as well.
    const BEGINS_TURNS: bool = false;

    /// What its results contain.
    type Output: JsonSchema;

    /// Makes the call.
    fn call(
        self,
        cx: &Cx,
        call: Call<'_>,
    ) -> impl Future<Output = Result<Outcome, ToolError>> + Send;
}

/// What a tool is told besides its own arguments.
pub(super) struct Call<'a> {
    pub(super) caller: &'a Caller,
    /// Empty for a tool that begins no turns.
    pub(super) turn: TurnArguments,
}

/// The arguments of every tool that begins a turn.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct TurnArguments {
    /// Go on even if this call is cancelled or its client goes away; `wait` gets the answer. Default: false.
    detach: Option<bool>,
    /// Seconds to wait for the answer, 0 to 86400; then the turn goes on. `wait` gets its answer. Default: as
    /// long as this client waits.
    #[schemars(range(min = 0, max = 86_400))]
    wait_seconds: Option<u64>,
    /// Seconds after which the turn is interrupted, 1 to 86400. Default: no limit, or the operator's.
    #[schemars(range(min = 1, max = 86_400))]
    timeout_seconds: Option<u64>,
}

/// One tool.
pub(in crate::mcp) struct Tool {
    pub(in crate::mcp) name: &'static str,
    /// Arguments it accepts but does not list.
    pub(super) hidden: &'static [&'static str],
    pub(super) title: &'static str,
    pub(super) description: &'static str,
    /// The tool's side effects. Clients use them to decide on approval and parallel calls.
    pub(super) effect: Effect,
    pub(super) input: fn() -> Arc<JsonObject>,
    pub(super) output: fn() -> Arc<JsonObject>,
    pub(super) call: CallFn,
}

pub(super) type CallFn =
    for<'a> fn(&'a Cx, &'a Caller, Option<JsonObject>) -> BoxFuture<'a, Result<Outcome, ToolError>>;

/// The outcome of a call.
#[derive(Debug)]
pub(in crate::mcp) enum Outcome {
    /// An answer.
    Answer(Box<Answer>),
    /// A question to the user first.
    InputRequired(Box<InputRequiredResult>),
    /// A task: the answer comes later.
    Task(Box<CreateTaskResult>),
}

/// The side effects of a tool.
#[derive(Debug, Clone, Copy)]
pub(super) enum Effect {
    /// Reads what is here.
    Reads,
    /// Looks at files or the web, and talks to a model elsewhere.
    Looks,
    /// Removes something of ours; doing it twice does no more.
    Removes,
    /// Changes files of the user's, here, by rules of ours.
    Changes,
    /// Adds something of ours and changes nothing that is there.
    Adds,
    /// May do anything its sandbox allows, and talks to a model elsewhere.
    Acts,
}

impl TurnArguments {
    /// Whether the turn goes on without its call.
    pub(super) fn detached(&self) -> bool {
        self.detach.unwrap_or_default()
    }

    /// How long the call waits for its turn.
    pub(super) fn wait(&self) -> Result<Option<Duration>, ToolError> {
        arguments::seconds("waitSeconds", self.wait_seconds, 0)
    }

    /// How long the turn may take.
    pub(super) fn timeout(&self) -> Result<Option<Duration>, ToolError> {
        arguments::seconds("timeoutSeconds", self.timeout_seconds, 1)
    }
}

impl Tool {
    /// The tool that has these arguments.
    pub(super) const fn of<T: Callable>() -> Self {
        Self {
            name: T::NAME,
            hidden: T::HIDDEN,
            title: T::TITLE,
            description: T::DESCRIPTION,
            effect: T::EFFECT,
            input: input::<T>,
            output: schema::of_result::<T::Output>,
            call: |cx, caller, given| Box::pin(call::<T>(cx, caller, given)),
        }
    }

    /// As `tools/list` shows it.
    pub(super) fn define(&self) -> rmcp::model::Tool {
        rmcp::model::Tool::new(self.name, self.description, (self.input)())
            .with_title(self.title)
            .with_raw_output_schema((self.output)())
            .with_annotations(self.effect.annotations(self.title))
    }
}

fn input<T: Callable>() -> Arc<JsonObject> {
    let mut schema = schema::of::<T>();
    if T::BEGINS_TURNS {
        let turn = schema::of::<TurnArguments>();
        let (all, more) =
            (Arc::make_mut(&mut schema).get_mut("properties"), turn.get("properties"));
        if let (Some(Value::Object(all)), Some(Value::Object(more))) = (all, more) {
            all.extend(more.clone());
        }
    }
    schema
}

async fn call<T: Callable>(
    cx: &Cx,
    caller: &Caller,
    given: Option<JsonObject>,
) -> Result<Outcome, ToolError> {
    let turn =
        if T::BEGINS_TURNS { arguments::read(given.clone())? } else { TurnArguments::default() };
    arguments::read::<T>(given)?.call(cx, Call { caller, turn }).await
}

impl From<Answer> for Outcome {
    fn from(answer: Answer) -> Self {
        Self::Answer(Box::new(answer))
    }
}

impl std::fmt::Debug for Tool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Tool").field(&self.name).finish()
    }
}

impl Effect {
    /// What a caller must be allowed to do before the tool is called. The core checks what the tool then does.
    pub(super) fn verb(self) -> Verb {
        match self {
            Self::Reads => Verb::Look,
            Self::Removes | Self::Changes | Self::Adds => Verb::Change,
            Self::Looks | Self::Acts => Verb::Ask,
        }
    }

    /// Sets all annotations, because clients assume the worst for absent ones.
    fn annotations(self, title: &str) -> ToolAnnotations {
        let (read_only, destructive, idempotent, open_world) = match self {
            Self::Reads => (true, false, true, false),
            Self::Adds => (false, false, false, false),
            Self::Looks => (true, false, false, true),
            Self::Removes => (false, true, true, false),
            Self::Changes => (false, true, false, false),
            Self::Acts => (false, true, false, true),
        };
        ToolAnnotations::with_title(title)
            .read_only(read_only)
            .destructive(destructive)
            .idempotent(idempotent)
            .open_world(open_world)
    }
}
