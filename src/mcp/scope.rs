//! What a caller needs to be allowed for a request, for those who decide before it gets here.

use super::{Scope, tools::scope_of};

/// The scope that a request of this method needs, which may name a tool. What is unknown needs none to be told so.
pub fn needed_scope(method: &str, tool: Option<&str>) -> Scope {
    match method {
        "tools/call" => tool.and_then(scope_of).unwrap_or(Scope::Read),
        "tasks/update" | "tasks/cancel" => Scope::Run,
        _ => Scope::Read,
    }
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
