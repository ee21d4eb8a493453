//! Who called, and what they can do.

use std::{path::PathBuf, sync::Arc, time::Duration};

use rmcp::{
    RoleServer,
    model::{CallToolRequestParams, ClientCapabilities, ElicitRequestParams, ProtocolVersion},
    service::{Peer, RequestContext},
};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::{
    form::form,
    given_up::{GivenUp, SeenLimits},
    progress::Progress,
    timeout::CallTimeout,
};
use crate::{
    mcp::cut::cut,
    session::{Approval, Principal, Verb, visible_line},
};

/// What Codex is called as a client.
pub(in crate::mcp) const CODEX: &str = "codex-mcp-client";

/// What Codex, as a client, tells a server with each call that has this word among its experimental capabilities: the
/// sandbox of the thread that makes the call, and where that works. Observed of 0.169.
pub(in crate::mcp) const SANDBOX_STATE: &str = "codex/sandbox-state-meta";

/// The longest name of a client, in characters.
const LONGEST_NAME: usize = 100;

/// The extension of clients that show views of servers.
const VIEWS: &str = "io.modelcontextprotocol/ui";

/// The kind of views that we have, which such a client names.
const VIEW_KIND: &str = "text/html;profile=mcp-app";

/// One call's caller.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a thing of its own that a client can do"
)]
pub(in crate::mcp) struct Caller {
    pub(in crate::mcp) peer: Peer<RoleServer>,
    /// Whether the client speaks the era in which a server asks by its result.
    pub(in crate::mcp) is_modern: bool,
    /// Whether the user can be shown a form, and may answer it.
    pub(super) shows_forms: bool,
    /// Whether the user can be shown a link.
    pub(super) shows_links: bool,
    /// Whether the user is shown our views.
    pub(in crate::mcp) shows_views: bool,
    /// Whether the caller may answer what Codex asks.
    may_answer: bool,
    /// What a question's answer is bound to: who was asked, the tool and its arguments.
    pub(super) call: Vec<u8>,
    /// Cancelled when the client leaves.
    pub(super) leaving: CancellationToken,
    /// Set when the client has given up because the call took too long.
    given_up: GivenUp,
    /// How long the call may take before it becomes a task. `None` if its client follows none.
    pub(super) task_after: Option<Duration>,
    context: RequestContext<RoleServer>,
    timeout: CallTimeout,
}

/// How long calls of a client may take.
#[derive(Debug, Clone)]
pub(in crate::mcp) struct CallLimits {
    /// What the operator says.
    pub(in crate::mcp) wait: Option<Duration>,
    /// What the client's environment says.
    pub(in crate::mcp) client_limit: Option<Duration>,
    /// After what time a call becomes a task, where its client follows tasks.
    pub(in crate::mcp) task_after: Duration,
    /// After what times clients have given up.
    pub(in crate::mcp) seen: Arc<SeenLimits>,
}

/// Who is asked what Codex asks, apart from a call.
pub(in crate::mcp) struct Asker {
    /// What to call the client in the record of an approval.
    pub(in crate::mcp) name: String,
    /// Whether the user can be shown a form, and may answer it.
    pub(in crate::mcp) shows_forms: bool,
    shows_links: bool,
}

impl Asker {
    pub(in crate::mcp) fn new(context: &RequestContext<RoleServer>, who: &Principal) -> Self {
        let can = context.client_capabilities().unwrap_or_default();
        let name = name_of(context);
        let shows_forms = who.may(Verb::Answer) && shows(&can, Mode::Form);
        Self { name, shows_forms, shows_links: shows(&can, Mode::Url) }
    }

    /// An approval as a form; or why it cannot be shown.
    pub(in crate::mcp) fn form(
        &self,
        approval: &Approval,
        session: &str,
    ) -> Result<ElicitRequestParams, String> {
        form(approval, session, self.shows_links)
    }
}

impl Caller {
    pub(in crate::mcp) fn new(
        request: &CallToolRequestParams,
        context: RequestContext<RoleServer>,
        leaving: CancellationToken,
        limits: &CallLimits,
        who: &Principal,
    ) -> Self {
        let CallLimits { wait, client_limit, task_after, seen } = limits;
        let can = context.client_capabilities().unwrap_or_default();
        let client = context.client_info();
        let client = client.as_ref().map_or(("", ""), |info| (&info.name, &info.version));
        let resets = context.meta.get_progress_token().is_some();
        let version = context.protocol_version();
        let is_modern = version.is_some_and(|version| version >= ProtocolVersion::V_2026_07_28);
        let may_answer = who.may(Verb::Answer);
        let tenant = who.tenant.as_ref();
        let bound = (tenant, &who.subject, &request.name, &request.arguments);
        Self {
            peer: context.peer.clone(),
            is_modern,
            task_after: Some(*task_after).filter(|_| is_modern && can.supports_tasks()),
            shows_forms: may_answer && shows(&can, Mode::Form),
            shows_links: shows(&can, Mode::Url),
            shows_views: shows_views(&can),
            may_answer,
            call: serde_json::to_vec(&bound).unwrap_or_default(),
            timeout: CallTimeout::of(
                client.0,
                resets,
                *wait,
                *client_limit,
                seen.of(client.0, client.1),
            ),
            given_up: context.extensions.get().cloned().unwrap_or_default(),
            leaving,
            context,
        }
    }

    /// Whether somebody can be asked what Codex asks: in a form; or in a view of ours, if the call names the session that
    /// the view is then about.
    pub(in crate::mcp) fn can_ask(&self, is_named: bool) -> bool {
        self.may_answer && (self.shows_forms || (self.shows_views && is_named))
    }

    /// What the client says it can do.
    #[cfg(debug_assertions)]
    pub(in crate::mcp) fn capabilities(&self) -> ClientCapabilities {
        self.context.client_capabilities().unwrap_or_default()
    }

    /// Where the work is done that the call is part of, if the client says so. One process of Codex has threads in many
    /// directories, and starts a plugin's servers in none of them.
    pub(in crate::mcp) fn directory(&self) -> Option<PathBuf> {
        local_path(self.context.meta.get(SANDBOX_STATE)?.get("sandboxCwd")?)
    }

    /// What to call the client in the record of an approval.
    pub(in crate::mcp) fn name(&self) -> String {
        name_of(&self.context)
    }

    /// How long the call may take, if it asks for this.
    pub(super) fn timeout(&self, asked: Option<Duration>) -> Option<Duration> {
        self.timeout.limit(asked)
    }

    /// Waits until the client gives up.
    pub(super) async fn gives_up(&self) {
        self.given_up.wait().await;
    }

    /// Tells the caller what happens; nothing if it did not ask for that.
    pub(super) fn progress(&self) -> Progress {
        Progress::new(self.peer.clone(), self.context.meta.get_progress_token())
    }
}

/// What a client calls itself, as records and people get it: one line that is not long.
fn name_of(context: &RequestContext<RoleServer>) -> String {
    let name = context.client_info().map_or_else(|| "a client".to_owned(), |info| info.name);
    cut(&visible_line(&name), LONGEST_NAME).0.to_owned()
}

/// Whether a client shows views of ours.
pub(in crate::mcp) fn shows_views(can: &ClientCapabilities) -> bool {
    let declared = can.extensions.as_ref().and_then(|all| all.get(VIEWS));
    let kinds = declared.and_then(|view| view.get("mimeTypes")?.as_array());
    kinds.is_some_and(|kinds| kinds.iter().any(|kind| kind == VIEW_KIND))
}

#[derive(Debug, Clone, Copy)]
enum Mode {
    Form,
    Url,
}

/// A capability that names no mode means forms.
fn shows(can: &ClientCapabilities, mode: Mode) -> bool {
    can.elicitation.as_ref().is_some_and(|modes| match mode {
        Mode::Form => modes.form.is_some() || modes.url.is_none(),
        Mode::Url => modes.url.is_some(),
    })
}

/// An absolute path, written as such or as a URL.
fn local_path(value: &Value) -> Option<PathBuf> {
    let text = value.as_str()?;
    let path = match Url::parse(text) {
        Ok(url) if url.scheme() == "file" => url.to_file_path().ok()?,
        Ok(_) => return None,
        Err(_) => PathBuf::from(text),
    };
    path.is_absolute().then_some(path)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_directory_is_a_path_of_this_machine() {
        for (told, path) in [
            (json!("file:///a/b%20c"), Some("/a/b c")),
            (json!("file://localhost/a"), Some("/a")),
            (json!("/a/b%20c"), Some("/a/b%20c")),
            (json!("file://elsewhere/a"), None),
            (json!("https://a.example/b"), None),
            (json!("a/b"), None),
            (json!(""), None),
            (json!(7), None),
        ] {
            assert_eq!(local_path(&told), path.map(PathBuf::from), "{told}");
        }
    }
    #[test]
    fn a_client_shows_our_views_if_it_names_their_kind() {
        let declared = |view: Value| {
            let can = json!({"extensions": {VIEWS: view}});
            shows_views(&serde_json::from_value(can).unwrap())
        };
        assert!(declared(json!({"mimeTypes": ["text/html;profile=mcp-app"]})));
        assert!(!declared(json!({})));
        assert!(!declared(json!({"mimeTypes": ["text/html"]})));
    }
}
