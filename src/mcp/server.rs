//! The MCP server: what it says of itself, and one path for every call.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc, time::Duration};

use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, CancelTaskParams,
        CompleteRequestParams, CompleteResult, CustomRequest, CustomResult, GetPromptRequestParams,
        GetPromptResponse, GetTaskParams, GetTaskResult, Implementation, InitializeRequestParams,
        InitializeResult, JsonObject, ListPromptsResult, ListResourceTemplatesResult,
        ListResourcesResult, ListToolsResult, MetaObject, PaginatedRequestParams, ProtocolVersion,
        ReadResourceRequestParams, ReadResourceResponse, ServerCapabilities, ServerConfig,
        SubscribeRequestParams, SubscriptionFilter, UnsubscribeRequestParams, UpdateTaskParams,
    },
    service::{NotificationContext, RequestContext, SubscriptionContext},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument;

use super::{
    answer::{Answer, size_hint},
    apps, arguments,
    call::{
        Asker, CODEX, CallInHand, CallLimits, Caller, RequestStateCodec, SANDBOX_STATE, join_trace,
        resume,
    },
    changes::{self, Subscriptions},
    completion,
    config::{Client, McpConfig, WhoCalls},
    error::{ToolError, internal},
    malformed, prompts, resources, tasks,
    tools::{self, Cx, Outcome, Tools},
};
use crate::session::{Origin, Principal, Scope, Sessions, Verb};

/// Shown to a client's model next to the tools. Clients cut it at 2 KB.
const INSTRUCTIONS: &str = "\
OpenAI's Codex CLI as a colleague: it reads, writes and runs code in a working directory by itself.\n\
`codex` asks it. Pass a `sessionId` of your choice to begin a conversation and the same one to \
continue it, at any later time; each answer says which session it belongs to. Give different subjects \
different sessions; they run in parallel. What a call sets (model, sandbox, workingDirectory…) stays \
with its session.\n\
Codex is read-only unless `sandbox` is `workspace-write`. It knows nothing of this conversation: put \
what it needs into the prompt, or name the files.";

/// A limit that no answer reaches, and that can be added to without overflow.
const UNCUT: usize = usize::MAX / 4;

/// The server that rmcp drives. One serves one connection; [`Server::for_client`] makes those for more.
#[derive(Debug, Clone)]
pub struct Server {
    cx: Cx,
    tools: Arc<Tools>,
    is_structured: bool,
    limits: CallLimits,
    calls: TaskTracker,
    /// Cancelled when the client leaves: its calls shall come to an end.
    leaving: CancellationToken,
    /// Cancelled when nobody waits for its calls any more.
    gone: CancellationToken,
    subscriptions: Subscriptions,
    /// Cancelled when the server is about to end.
    draining: CancellationToken,
    /// The tasks that notify of changes. They end with their connections.
    relays: TaskTracker,
    /// Who makes a request. `None` if the program that started this server makes all.
    who: Option<WhoCalls>,
}

impl Server {
    /// A server over these sessions.
    pub fn new(sessions: Sessions, config: &McpConfig) -> Self {
        let tools = Tools::new(&config.tools, config.is_vendor);
        let offer = tools.offer();
        // Without the tool that reads the rest, nothing is cut.
        let max_text = if offer.has("getSession") { config.max_text } else { UNCUT };
        let codec = Arc::new(RequestStateCodec::new(&sessions));
        Self {
            cx: Cx {
                sessions,
                codec,
                max_text,
                offer,
                is_vendor: config.is_vendor,
                origin: Origin::default(),
                callback_uri: config.callback_uri.clone(),
                is_remote: false,
            },
            tools: Arc::new(tools),
            is_structured: config.is_structured,
            limits: CallLimits {
                wait: config.turn.wait.map(|span| span.0),
                client_limit: config.client_limit,
                task_after: config.turn.task.0,
                seen: Arc::default(),
            },
            calls: TaskTracker::new(),
            leaving: CancellationToken::new(),
            gone: CancellationToken::new(),
            subscriptions: Subscriptions::default(),
            draining: CancellationToken::new(),
            relays: TaskTracker::new(),
            who: None,
        }
    }

    /// A server for another client, over the same sessions.
    pub fn for_client(&self, client: Client) -> Self {
        let Client { directory, process, limit, is_terminal } = client;
        let mut server = Self {
            limits: CallLimits { client_limit: limit, ..self.limits.clone() },
            calls: TaskTracker::new(),
            leaving: CancellationToken::new(),
            gone: CancellationToken::new(),
            subscriptions: Subscriptions::default(),
            ..self.clone()
        };
        server.cx.origin = Origin::new(directory, process);
        if is_terminal {
            let tools = Tools::new(&[], self.cx.is_vendor);
            server.cx.offer = tools.offer();
            server.tools = Arc::new(tools);
            server.cx.max_text = UNCUT;
            server.is_structured = true;
            server.limits.wait = None;
        }
        server
    }

    /// A server for clients elsewhere of one tenant and one scope. `who` tells from a request whose it is. They bring no
    /// directory along: their paths are below the server's.
    pub fn for_remote(&self, scope: Scope, who: WhoCalls) -> Self {
        let mut server = Self {
            calls: TaskTracker::new(),
            leaving: CancellationToken::new(),
            gone: CancellationToken::new(),
            subscriptions: Subscriptions::default(),
            relays: TaskTracker::new(),
            ..self.clone()
        };
        // Of whom a request does not say whose it is, nothing but the scope is known.
        let anybody = Principal { tenant: None, subject: String::new(), scope };
        server.cx.sessions = server.cx.sessions.on_behalf_of(&anybody);
        server.cx.is_remote = true;
        server.who = Some(who);
        server
    }

    /// Begins no new turn from now on, and ends what only listens.
    pub fn drain(&self) {
        self.cx.sessions.drain();
        self.draining.cancel();
    }

    /// Brings the calls that are under way to an end, because their client leaves: turns that are held are
    /// interrupted. Those that take longer than `limit` are dropped.
    pub async fn end_calls(&self, limit: Duration) {
        self.leaving.cancel();
        let ended = tokio::time::timeout(limit, self.idle()).await;
        tracing::debug!(in_time = ended.is_ok(), "calls ended");
        self.gone.cancel();
    }

    /// The sessions it serves.
    pub fn sessions(&self) -> &Sessions {
        &self.cx.sessions
    }

    /// Waits until no call is under way.
    pub async fn idle(&self) {
        self.calls.close();
        self.calls.wait().await;
    }

    /// Fails for a request about resources if they are not offered.
    fn allows_resources(&self, method: &str) -> Result<(), ErrorData> {
        let is_offered = resources::are_offered(&self.cx.offer);
        if is_offered { Ok(()) } else { Err(malformed::unknown_method(method)) }
    }

    /// The result of a call that has this answer, for a client of this version.
    fn result(&self, answer: Answer, version: Option<&ProtocolVersion>) -> CallToolResult {
        // Older clients do not know links, and may refuse the whole result.
        let links = version.is_some_and(|version| *version >= ProtocolVersion::V_2025_06_18);
        let mut result = answer.into_result(self.cx.max_text, links, &self.cx.offer);
        result.structured_content.take_if(|_| !self.is_structured);
        result
    }

    /// Fails if the client descends from a Codex of ours: it gets nothing but that.
    fn admits(&self) -> Result<(), ErrorData> {
        let checked = self.cx.sessions.check_origin(&self.cx.origin);
        checked.map_err(|error| ToolError::from(error).into())
    }

    /// What the tools work with for the caller of this request.
    fn cx_of(&self, context: &RequestContext<RoleServer>) -> Cow<'_, Cx> {
        let mut cx = Cow::Borrowed(&self.cx);
        if let Some(who) = self.who.and_then(|who| who(&context.extensions)) {
            let sessions = self.cx.sessions.on_behalf_of(who);
            cx.to_mut().sessions = sessions;
        }
        cx
    }

    async fn call(
        &self,
        mut request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<Outcome, ErrorData> {
        if let Some(arguments) = &mut request.arguments {
            arguments::whole_numbers(arguments);
        }
        let leaving = self.leaving.clone();
        let mut cx = self.cx_of(&context);
        let caller = Caller::new(&request, context, leaving, &self.limits, cx.sessions.caller());
        // That of a client elsewhere is on another machine.
        let directory = caller.directory().filter(|_| !self.cx.is_remote);
        if let Some(directory) = directory {
            cx.to_mut().origin.directory = Some(directory);
        }
        #[cfg(debug_assertions)]
        if let Some(outcome) = super::fixtures::call(&cx, &caller, &mut request).await? {
            return Ok(outcome);
        }
        let outcome = if let Err(error) = self.cx.sessions.check_origin(&self.cx.origin) {
            Err(error.into())
        } else if request.request_state.is_some() {
            let resumed = resume(&cx.sessions, &cx.codec, &caller, &request).await;
            resumed.map(|progress| tools::progressed(progress, &cx))
        } else if apps::is_called(&request, &caller) {
            apps::answer(&cx, &caller, request.arguments).await
        } else {
            let answer = self.tools.call(&request.name, &cx, &caller, request.arguments).await;
            answer.ok_or_else(|| {
                let names = self.tools.names().join(", ");
                let words = format!("there is no tool `{}`; there are: {names}", request.name);
                ErrorData::invalid_params(words, None)
            })?
        };
        match outcome {
            Ok(outcome) => Ok(outcome),
            Err(ToolError::Caller(error)) => Ok(Answer::from(error).into()),
            Err(ToolError::Internal(detail)) => Err(internal(&detail)),
        }
    }
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let about = Implementation::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
            .with_title("Codex")
            .with_description(env!("CARGO_PKG_DESCRIPTION"));
        let offer = &self.cx.offer;
        let mut capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_prompts()
            .enable_resources()
            .enable_resources_list_changed()
            .enable_resources_subscribe()
            .enable_completions()
            .enable_tasks()
            .build();
        capabilities.prompts = capabilities.prompts.filter(|_| prompts::are_offered(offer));
        capabilities.resources = capabilities.resources.filter(|_| resources::are_offered(offer));
        if capabilities.prompts.is_none() && capabilities.resources.is_none() {
            capabilities.completions = None;
        }
        let instructions = offer.only(INSTRUCTIONS);
        ServerConfig::new(capabilities).with_server_info(about).with_instructions(instructions)
    }

    async fn initialize(
        &self,
        request: InitializeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<InitializeResult, ErrorData> {
        context.peer.set_peer_info(request.clone());
        let mut result = self.negotiate_initialize(&request)?;
        // In the eras that shake hands no call becomes a task.
        result.capabilities.extensions = None;
        if request.client_info.name == CODEX {
            let tells = BTreeMap::from([(SANDBOX_STATE.to_owned(), JsonObject::new())]);
            result.capabilities.experimental = Some(tells);
        }
        Ok(result)
    }

    async fn list_tools(
        &self,
        _page: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let MetaObject(hint) = size_hint(self.cx.max_text);
        let mut tools = self.tools.definitions(&self.cx.offer);
        for definition in &mut tools {
            let meta = definition.meta.get_or_insert_with(|| MetaObject(JsonObject::new()));
            meta.0.extend(hint.clone());
            definition.output_schema.take_if(|_| !self.is_structured);
        }
        apps::describe(&mut tools, context.client_capabilities().as_ref());
        #[cfg(debug_assertions)]
        tools.extend(super::fixtures::definitions());
        Ok(ListToolsResult::with_all_items(tools))
    }

    #[cfg(debug_assertions)]
    fn get_tool(&self, name: &str) -> Option<rmcp::model::Tool> {
        super::fixtures::find(name)
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let _under_way = self.calls.token();
        // A name that is none of ours goes into no log and no trace.
        let tool = self.tools.known(&request.name).unwrap_or("unknown");
        let span = tracing::info_span!("call", tool);
        join_trace(&span, &context.meta);
        // Dropping the call takes it back: a turn is interrupted, a queued call leaves the queue.
        let kept = CallInHand::new(&context, &self.limits.seen);
        let version = context.protocol_version();
        let call = self.call(request, context);
        let call = self.gone.run_until_cancelled(kept.run(call));
        match Box::pin(call.instrument(span)).await.flatten() {
            Some(Ok(Outcome::Answer(answer))) => Ok(self.result(*answer, version.as_ref()).into()),
            Some(Ok(Outcome::InputRequired(asked))) => Ok((*asked).into()),
            Some(Ok(Outcome::Task(task))) => Ok((*task).into()),
            Some(Err(error)) => Err(error),
            None => Err(ErrorData::internal_error("the call was cancelled", None)),
        }
    }

    async fn get_task(
        &self,
        request: GetTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        self.admits()?;
        let version = context.protocol_version();
        let finish = |answer| self.result(answer, version.as_ref());
        let cx = self.cx_of(&context);
        let asker = Asker::new(&context, cx.sessions.caller());
        tasks::get(&cx, &request.task_id, &asker, finish).await
    }

    async fn update_task(
        &self,
        request: UpdateTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.admits()?;
        let cx = self.cx_of(&context);
        cx.allows(Verb::Answer).map_err(ErrorData::from)?;
        let asker = Asker::new(&context, cx.sessions.caller());
        tasks::update(&cx, &request.task_id, &asker, &request.input_responses).await
    }

    async fn cancel_task(
        &self,
        request: CancelTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.admits()?;
        let cx = self.cx_of(&context);
        cx.allows(Verb::Interrupt).map_err(ErrorData::from)?;
        tasks::cancel(&cx, &request.task_id).await
    }

    async fn list_resources(
        &self,
        page: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        self.allows_resources("resources/list")?;
        self.admits()?;
        if !self.cx.offers("listSessions") {
            return Ok(ListResourcesResult::default());
        }
        resources::list(&self.cx.sessions, page.and_then(|page| page.cursor)).await
    }

    async fn list_resource_templates(
        &self,
        _page: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        self.allows_resources("resources/templates/list")?;
        Ok(resources::templates())
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        if let Some(view) = apps::read(&request.uri) {
            return Ok(view.into());
        }
        self.allows_resources("resources/read")?;
        self.admits()?;
        #[cfg(debug_assertions)]
        if let Some(fixture) = super::fixtures::resource(&request.uri) {
            return Ok(fixture.into());
        }
        Ok(resources::read(&self.cx.sessions, &request.uri).await?.into())
    }

    async fn list_prompts(
        &self,
        _page: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        if !prompts::are_offered(&self.cx.offer) {
            return Err(malformed::unknown_method("prompts/list"));
        }
        Ok(prompts::list(&self.cx.offer))
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        #[cfg(debug_assertions)]
        if let Some(fixture) = super::fixtures::prompt(&request)? {
            return Ok(fixture);
        }
        Ok(prompts::get(&request, &self.cx.offer)?.into())
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        let offer = &self.cx.offer;
        if !prompts::are_offered(offer) && !resources::are_offered(offer) {
            return Err(malformed::unknown_method("completion/complete"));
        }
        self.admits()?;
        completion::complete(&self.cx.sessions, offer, &request).await
    }

    async fn on_custom_request(
        &self,
        request: CustomRequest,
        context: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        let version = context.protocol_version();
        let is_modern = version.is_some_and(|version| version >= ProtocolVersion::V_2026_07_28);
        Err(malformed::explain(request, is_modern))
    }

    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        if !resources::are_offered(&self.cx.offer) || self.admits().is_err() {
            return;
        }
        let changes = self.cx.sessions.changes();
        self.relays.spawn(changes::relay(changes, context.peer, self.subscriptions.clone()));
    }

    async fn subscribe(
        &self,
        request: SubscribeRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.allows_resources("resources/subscribe")?;
        self.admits()?;
        self.subscriptions.add(request.uri)
    }

    async fn unsubscribe(
        &self,
        request: UnsubscribeRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.subscriptions.remove(&request.uri);
        Ok(())
    }

    fn accepted_subscription_filter(
        &self,
        requested: &SubscriptionFilter,
    ) -> Option<SubscriptionFilter> {
        // What we do not advertise the SDK takes out by itself.
        Some(changes::accepted(requested))
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        self.admits()?;
        let listening = changes::listen(self.cx.sessions.changes(), context);
        // Whether it ends by itself or not, its client gets a result.
        self.draining.run_until_cancelled(listening).await;
        Ok(())
    }
}
