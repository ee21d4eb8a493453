//! How Codex asks for approvals, and the form it wants each answer in (schemas of 0.169; the older
//! names are those of 0.72).

use serde_json::{Map, Value, json};

use super::{Answer, Approval, ApprovalId, Decision, InputField, Subject};

/// A request for an approval as it came, with what its answer needs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ApprovalRequest {
    /// The thread that asks. `None` if Codex does not say.
    pub(crate) thread_id: Option<String>,
    /// The item it is about, which an earlier event has described.
    pub(crate) item_id: Option<String>,
    pub(crate) approval: Approval,
    form: Form,
}

/// The forms of answers.
#[derive(Debug, Clone, PartialEq)]
enum Form {
    Decision,
    /// The same, with older words.
    Review,
    /// The permissions that were asked for are given back as granted.
    Permissions(Value),
    Input,
    Elicitation,
}

/// Reads a request that came over `connection`. `None` if the method is no request for an approval.
pub(crate) fn parse(connection: &str, method: &str, params: &Value) -> Option<ApprovalRequest> {
    use Decision::{Accept, AcceptForSession, Cancel, Decline};

    let text = |key: &str| params.get(key).and_then(Value::as_str).map(str::to_owned);
    let mut choices = vec![Accept, AcceptForSession, Decline, Cancel];
    let (subject, form) = match method {
        "item/commandExecution/requestApproval" | "execCommandApproval" => {
            if let Some(available) = params.get("availableDecisions").and_then(Value::as_array) {
                // These two are honoured though they are not listed (0.169).
                choices.retain(|choice| {
                    matches!(choice, Decline | AcceptForSession)
                        || available.contains(&choice.as_str().into())
                });
            }
            let command = text("command").or_else(|| words(params.get("command")?));
            let subject = Subject::Command { command, cwd: text("cwd"), reason: text("reason") };
            (subject, if method == "execCommandApproval" { Form::Review } else { Form::Decision })
        }
        "item/fileChange/requestApproval" | "applyPatchApproval" => {
            let changes = params.get("fileChanges").and_then(Value::as_object);
            let subject = Subject::Files {
                paths: changes.into_iter().flat_map(Map::keys).cloned().collect(),
                root: text("grantRoot"),
                reason: text("reason"),
            };
            (subject, if method == "applyPatchApproval" { Form::Review } else { Form::Decision })
        }
        "item/permissions/requestApproval" => {
            let wanted = params.get("permissions").cloned().unwrap_or_default();
            let words = permissions(&wanted);
            let subject = Subject::Permissions { wanted: words, reason: text("reason") };
            (subject, Form::Permissions(wanted))
        }
        "item/tool/requestUserInput" => {
            choices = vec![Accept, Decline];
            let fields = params.get("questions").and_then(Value::as_array).into_iter().flatten();
            (Subject::Input(fields.filter_map(field).collect()), Form::Input)
        }
        "mcpServer/elicitation/request" => {
            choices = vec![Accept, Decline, Cancel];
            (elicitation(params)?, Form::Elicitation)
        }
        _ => return None,
    };
    Some(ApprovalRequest {
        thread_id: text("threadId").or_else(|| text("conversationId")),
        item_id: text("itemId"),
        approval: Approval {
            id: ApprovalId::new(),
            subject,
            choices,
            agent: None,
            connection: connection.to_owned(),
        },
        form,
    })
}

impl ApprovalRequest {
    /// The answer in Codex's own form.
    pub(crate) fn answer(&self, answer: &Answer) -> Value {
        let decision = answer.decision;
        let is_yes = matches!(decision, Decision::Accept | Decision::AcceptForSession);
        match &self.form {
            Form::Decision => json!({"decision": decision.as_str()}),
            Form::Review => {
                let word = match decision {
                    Decision::Accept => "approved",
                    Decision::AcceptForSession => "approved_for_session",
                    Decision::Decline => "denied",
                    Decision::Cancel => "abort",
                };
                json!({"decision": word})
            }
            Form::Permissions(asked) if is_yes => {
                let scope = if decision == Decision::Accept { "turn" } else { "session" };
                json!({"permissions": asked, "scope": scope})
            }
            Form::Permissions(_) => json!({"permissions": {}}),
            Form::Input if is_yes => {
                let answered = answer.content.iter().map(|(id, value)| {
                    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    (id.clone(), json!({"answers": [text]}))
                });
                json!({"answers": answered.collect::<Map<_, _>>()})
            }
            Form::Input => json!({"answers": {}}),
            Form::Elicitation if is_yes => json!({"action": "accept", "content": answer.content}),
            Form::Elicitation => json!({"action": decision.as_str()}),
        }
    }

    /// The answer that says no.
    pub(crate) fn refusal(&self) -> Value {
        self.answer(&Answer::plain(Decision::Decline))
    }
}

fn words(value: &Value) -> Option<String> {
    let words: Vec<_> = value.as_array()?.iter().filter_map(Value::as_str).collect();
    Some(words.join(" "))
}

fn field(question: &Value) -> Option<InputField> {
    let text = |key: &str| question.get(key).and_then(Value::as_str).map(str::to_owned);
    let flag = |key: &str| question.get(key).and_then(Value::as_bool).unwrap_or_default();
    let options = question.get("options").and_then(Value::as_array).into_iter().flatten();
    let options: Vec<_> =
        options.filter_map(|option| option.get("label")?.as_str()).map(str::to_owned).collect();
    Some(InputField {
        id: text("id")?,
        question: text("question").or_else(|| text("header"))?,
        free: flag("isOther") || options.is_empty(),
        options,
        secret: flag("isSecret"),
    })
}

fn elicitation(params: &Value) -> Option<Subject> {
    let text = |key: &str| params.get(key).and_then(Value::as_str).map(str::to_owned);
    let server = text("serverName").unwrap_or_else(|| "an MCP server".to_owned());
    let message = text("message").unwrap_or_default();
    if text("mode").as_deref() == Some("url") {
        let id = text("elicitationId").unwrap_or_default();
        return Some(Subject::Link { server, message, url: text("url")?, id });
    }
    let schema = params.get("requestedSchema").cloned();
    let schema = schema.unwrap_or_else(|| json!({"type": "object", "properties": {}}));
    Some(Subject::Form { server, message, schema })
}

/// Permissions in words. What has no words of ours is shown as it came.
fn permissions(wanted: &Value) -> String {
    let mut words = Vec::new();
    let network = wanted.pointer("/network/enabled").and_then(Value::as_bool);
    if network == Some(true) {
        words.push("the network".to_owned());
    }
    for (key, verb) in [("read", "read"), ("write", "write to")] {
        let paths = wanted.pointer(&format!("/fileSystem/{key}")).and_then(Value::as_array);
        let paths = paths.into_iter().flatten().filter_map(Value::as_str);
        words.extend(paths.map(|path| format!("{verb} {path}")));
    }
    let entries = wanted.pointer("/fileSystem/entries").and_then(Value::as_array);
    for entry in entries.into_iter().flatten() {
        let access = entry.get("access").and_then(Value::as_str).unwrap_or("use");
        let path = entry.get("path").map(|path| match path.get("path").and_then(Value::as_str) {
            Some(plain) => plain.to_owned(),
            None => path.to_string(),
        });
        words.push(format!("{access} {}", path.unwrap_or_default()));
    }
    words.dedup();
    if words.is_empty() { wanted.to_string() } else { words.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: &str, params: &Value) -> ApprovalRequest {
        parse("c", method, params).unwrap()
    }

    #[test]
    fn a_command_is_asked_for_with_what_codex_takes() {
        let params = json!({"threadId": "t", "itemId": "i", "command": "rm -r x", "reason": "why",
            "availableDecisions": ["accept", {"acceptWithExecpolicyAmendment": {}}, "cancel"]});
        let asked = asked("item/commandExecution/requestApproval", &params);
        assert_eq!(asked.thread_id.as_deref(), Some("t"));
        assert_eq!(asked.approval.subject.in_short(), "to run `rm -r x`");
        assert_eq!(asked.approval.choices.len(), 4);
        let params = json!({"availableDecisions": ["accept"]});
        let few = parse("c", "item/commandExecution/requestApproval", &params).unwrap();
        let choices = [Decision::Accept, Decision::AcceptForSession, Decision::Decline];
        assert_eq!(few.approval.choices, choices);
        assert_eq!(asked.refusal(), json!({"decision": "decline"}));
    }

    #[test]
    fn every_question_has_its_own_form_of_yes_and_no() {
        let yes = Answer { content: Map::from_iter([("q".into(), "a".into())]), ..accept() };
        let wanted = json!({"network": {"enabled": true}, "fileSystem": {"write": ["/x"]}});
        for (method, params, accepted, refused) in [
            (
                "item/fileChange/requestApproval",
                json!({}),
                json!({"decision": "accept"}),
                json!({"decision": "decline"}),
            ),
            (
                "execCommandApproval",
                json!({"command": ["rm", "x"]}),
                json!({"decision": "approved"}),
                json!({"decision": "denied"}),
            ),
            (
                "item/permissions/requestApproval",
                json!({"permissions": wanted}),
                json!({"permissions": wanted, "scope": "turn"}),
                json!({"permissions": {}}),
            ),
            (
                "item/tool/requestUserInput",
                json!({"questions": [{"id": "q", "question": "Which?"}]}),
                json!({"answers": {"q": {"answers": ["a"]}}}),
                json!({"answers": {}}),
            ),
            (
                "mcpServer/elicitation/request",
                json!({"serverName": "s", "message": "m", "mode": "form"}),
                json!({"action": "accept", "content": {"q": "a"}}),
                json!({"action": "decline"}),
            ),
        ] {
            let asked = asked(method, &params);
            assert_eq!(asked.answer(&yes), accepted, "{method}");
            assert_eq!(asked.refusal(), refused, "{method}");
        }
        assert!(parse("c", "attestation/generate", &json!({})).is_none());
    }

    #[test]
    fn permissions_are_told_in_words() {
        let wanted = json!({"network": {"enabled": true}, "fileSystem": {"entries": [
            {"access": "write", "path": {"type": "path", "path": "/x"}},
        ]}});
        assert_eq!(permissions(&wanted), "the network, write /x");
        assert_eq!(permissions(&json!({"new": 1})), r#"{"new":1}"#);
    }

    fn accept() -> Answer {
        Answer::plain(Decision::Accept)
    }
}
