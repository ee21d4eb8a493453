//! What a caller needs to be allowed for a request, for those who decide before it gets here.

use super::{Scope, tools::verb_of};
use crate::session::Verb;

/// The scope that a request of this method needs, which may name a tool. An unknown method needs none: the server answers
/// that there is no such method.
pub fn needed_scope(method: &str, tool: Option<&str>) -> Scope {
    let verb = match method {
        "tools/call" => tool.and_then(verb_of).unwrap_or(Verb::Look),
        "tasks/update" => Verb::Answer,
        "tasks/cancel" => Verb::Interrupt,
        _ => Verb::Look,
    };
    verb.needs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_something_needs_more_than_looking() {
        for (method, tool, scope) in [
            ("tools/call", Some("codex"), Scope::Run),
            ("tools/call", Some("listSessions"), Scope::Read),
            ("tools/call", Some("nosuch"), Scope::Read),
            ("tools/call", None, Scope::Read),
            ("tasks/cancel", None, Scope::Run),
            ("tasks/get", None, Scope::Read),
        ] {
            assert_eq!(needed_scope(method, tool), scope, "{method} {tool:?}");
        }
    }
}
