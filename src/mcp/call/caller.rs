//! Who called, and what they can do.

use std::time::Duration;

use rmcp::{
    RoleServer,
    model::{CallToolRequestParams, ClientCapabilities, ProtocolVersion},
    service::{Peer, RequestContext},
};
use tokio_util::sync::CancellationToken;

use super::{progress::Progress, timeout::CallTimeout};

/// One call's caller.
pub(in crate::mcp) struct Caller {
    pub(super) peer: Peer<RoleServer>,
    /// Whether the client speaks the era in which a server asks by its result.
    pub(super) is_modern: bool,
    /// Whether the user can be shown a form.
    pub(super) shows_forms: bool,
    /// Whether the user can be shown a link.
    pub(super) shows_links: bool,
    /// What a question's answer is bound to: the tool and its arguments.
    pub(super) call: Vec<u8>,
    /// Cancelled when the client leaves.
    pub(super) leaving: CancellationToken,
    context: RequestContext<RoleServer>,
    timeout: CallTimeout,
}

impl Caller {
    pub(in crate::mcp) fn new(
        request: &CallToolRequestParams,
        context: RequestContext<RoleServer>,
        leaving: CancellationToken,
        wait: Option<Duration>,
        client_limit: Option<Duration>,
    ) -> Self {
        let can = context.client_capabilities().unwrap_or_default();
        let client = context.client_info().map(|info| info.name).unwrap_or_default();
        let resets = context.meta.get_progress_token().is_some();
        let version = context.protocol_version();
        Self {
            peer: context.peer.clone(),
            is_modern: version.is_some_and(|version| version >= ProtocolVersion::V_2026_07_28),
            shows_forms: shows(&can, Mode::Form),
            shows_links: shows(&can, Mode::Url),
            call: serde_json::to_vec(&(&request.name, &request.arguments)).unwrap_or_default(),
            timeout: CallTimeout::of(&client, resets, wait, client_limit),
            leaving,
            context,
        }
    }

    /// Whether somebody can be asked what Codex asks.
    pub(in crate::mcp) fn can_ask(&self) -> bool {
        self.shows_forms
    }

    /// What to call the client in the record of an approval.
    pub(super) fn name(&self) -> String {
        self.context.client_info().map_or_else(|| "a client".to_owned(), |info| info.name)
    }

    /// How long the call may take, if it asks for this.
    pub(super) fn timeout(&self, asked: Option<Duration>) -> Option<Duration> {
        self.timeout.limit(asked)
    }

    /// Tells the caller what happens; nothing if it did not ask for that.
    pub(super) fn progress(&self) -> Progress {
        Progress::new(self.peer.clone(), self.context.meta.get_progress_token())
    }
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
