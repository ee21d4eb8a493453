//! The MCP server: who we are, which tools there are, and one way through every call.

use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CompleteRequestMethod, CompleteRequestParams,
        CompleteResult, Implementation, ListPromptsRequestMethod, ListPromptsResult,
        ListResourceTemplatesRequestMethod, ListResourceTemplatesResult,
        ListResourcesRequestMethod, ListResourcesResult, ListToolsResult, PaginatedRequestParams,
        ServerCapabilities, ServerConfig,
    },
    service::RequestContext,
};
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use super::{
    answer::Answer,
    error::{ToolError, internal},
    tools::{Cx, Tool},
};
use crate::session::Sessions;

/// Shown to a client's model next to the tools. Clients cut it at 2 KB.
const INSTRUCTIONS: &str = "\
OpenAI's Codex CLI as a colleague: it reads, writes and runs code in a working directory by itself.\n\
`codex` asks it. Pass a `sessionId` of your choice to begin a conversation and the same one to \
continue it, at any later time; each answer says which session it belongs to. Give different subjects \
different sessions; they run in parallel. What a call sets (model, sandbox, workingDirectory…) stays \
with its session.\n\
Codex is read-only unless `sandbox` is `workspace-write`. It knows nothing of this conversation: put \
what it needs into the prompt, or name the files.";

/// What the operator decides about the tools.
#[derive(Debug, Clone)]
pub struct McpConfig {
    /// The tools to offer, by name; all if empty.
    pub tools: Vec<String>,
    /// The longest text one result carries, in characters.
    pub max_text: usize,
}

/// The server that rmcp drives. One serves any number of connections.
#[derive(Debug, Clone)]
pub struct Server {
    cx: Cx,
    tools: Vec<&'static Tool>,
    calls: TaskTracker,
}

impl Server {
    /// A server over these sessions.
    pub fn new(sessions: Sessions, config: &McpConfig) -> Self {
        let tools = super::tools::chosen(&config.tools);
        Self { cx: Cx { sessions, max_text: config.max_text }, tools, calls: TaskTracker::new() }
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

    async fn call(&self, request: CallToolRequestParams) -> Result<Answer, ErrorData> {
        let Some(tool) = self.tools.iter().find(|tool| tool.name == request.name) else {
            let names: Vec<_> = self.tools.iter().map(|tool| tool.name).collect();
            let words =
                format!("there is no tool `{}`; there are: {}", request.name, names.join(", "));
            return Err(ErrorData::invalid_params(words, None));
        };
        match tool.run(&self.cx, request.arguments).await {
            Ok(answer) => Ok(answer),
            Err(ToolError::Caller(trouble)) => Ok(trouble.into()),
            Err(ToolError::Internal(detail)) => Err(internal(&detail)),
        }
    }
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let about = Implementation::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
            .with_title("Codex")
            .with_description(env!("CARGO_PKG_DESCRIPTION"));
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(about)
            .with_instructions(INSTRUCTIONS)
    }

    async fn list_tools(
        &self,
        _page: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let tools = self.tools.iter().map(|tool| tool.definition()).collect();
        Ok(ListToolsResult::with_all_items(tools))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let _under_way = self.calls.token();
        let span = tracing::info_span!("call", tool = %request.name);
        // Dropping the call takes it back: a turn is interrupted, a queued call leaves the queue.
        let called = context.ct.run_until_cancelled(self.call(request)).instrument(span).await;
        match called {
            Some(answer) => Ok(answer?.into_result().into()),
            None => Err(ErrorData::internal_error("the call was cancelled", None)),
        }
    }

    // The SDK answers these with empty lists although we do not declare them.

    async fn list_prompts(
        &self,
        _page: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        Err(ErrorData::method_not_found::<ListPromptsRequestMethod>())
    }

    async fn list_resources(
        &self,
        _page: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        Err(ErrorData::method_not_found::<ListResourcesRequestMethod>())
    }

    async fn list_resource_templates(
        &self,
        _page: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Err(ErrorData::method_not_found::<ListResourceTemplatesRequestMethod>())
    }

    async fn complete(
        &self,
        _request: CompleteRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        Err(ErrorData::method_not_found::<CompleteRequestMethod>())
    }
}
