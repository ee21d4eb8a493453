//! A question of Codex as a form, and a filled-in form as an answer. Pure.

use std::time::Duration;

use rmcp::model::{ElicitRequestParams, ElicitResult, ElicitationAction, ElicitationSchema};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::session::{Answer, Approval, Decision, InputField, Subject, visible, visible_line};

/// A decline that comes faster than this was not made by a person.
const FASTER_THAN_A_PERSON: Duration = Duration::from_millis(500);

const DECISION: &str = "decision";

/// The form to show. Fails with the reason if it cannot be shown.
pub(super) fn form(
    approval: &Approval,
    session: &str,
    shows_links: bool,
) -> Result<ElicitRequestParams, String> {
    let lines =
        |parts: Vec<Option<String>>| parts.into_iter().flatten().collect::<Vec<_>>().join("\n");
    let why = |reason: &Option<String>| {
        reason.as_ref().map(|reason| format!("Reason: {}", visible_line(reason)))
    };
    let agent = approval.agent.as_deref().map(|name| format!("agent {}, ", visible_line(name)));
    let whose = Some(format!("({}session {session})", agent.unwrap_or_default()));
    let (message, schema) = match &approval.subject {
        Subject::Command { command, cwd, reason } => (
            lines(vec![
                Some("Codex asks to run a command:".to_owned()),
                Some(indented(command.as_deref().unwrap_or("(it does not say which)"))),
                cwd.as_ref().map(|cwd| format!("In: {}", visible_line(cwd))),
                why(reason),
                whose,
            ]),
            decision(&approval.choices),
        ),
        Subject::Files { paths, root, reason } => (
            lines(vec![
                Some("Codex asks to change files:".to_owned()),
                Some(format!(
                    "  {}",
                    if paths.is_empty() {
                        "(it does not say which)".to_owned()
                    } else {
                        let paths = paths.iter().map(|path| visible_line(path));
                        paths.collect::<Vec<_>>().join("\n  ")
                    }
                )),
                root.as_ref()
                    .map(|root| format!("And to write below {} from now on", visible_line(root))),
                why(reason),
                whose,
            ]),
            decision(&approval.choices),
        ),
        Subject::Permissions { wanted, reason } => (
            lines(vec![
                Some(format!("Codex asks for more permissions: {}", visible_line(wanted))),
                why(reason),
                whose,
            ]),
            decision(&approval.choices),
        ),
        Subject::Input(fields) => {
            if fields.iter().any(|field| field.secret) {
                return Err("it was declined because it asks for a secret, which a form must not."
                    .to_owned());
            }
            (lines(vec![Some("Codex asks:".to_owned()), whose]), inputs(fields))
        }
        Subject::Form { server, message, schema } => {
            if let Some(value) = hidden_value(schema) {
                let value = visible_line(value);
                return Err(format!(
                    "it was declined because its form has control characters: `{value}`."
                ));
            }
            let mut schema = schema.clone();
            show_texts(&mut schema);
            (asked_by(server, message), schema)
        }
        Subject::Link { server, message, url, id } => {
            if !shows_links {
                return Err(format!(
                    "it was declined because this client cannot open {}.",
                    visible_line(url)
                ));
            }
            return Ok(ElicitRequestParams::UrlElicitationParams {
                meta: None,
                message: asked_by(server, message),
                url: visible_line(url).into_owned(),
                elicitation_id: id.clone(),
            });
        }
    };
    let requested_schema: ElicitationSchema = serde_json::from_value(schema)
        .map_err(|error| format!("it was declined because its form cannot be shown: {error}."))?;
    Ok(ElicitRequestParams::FormElicitationParams { meta: None, message, requested_schema })
}

/// A command with every line indented, so that no line of it looks like one of ours.
fn indented(command: &str) -> String {
    format!("  {}", visible(command).replace('\n', "\n  "))
}

fn asked_by(server: &str, message: &str) -> String {
    format!("{} (an MCP server of Codex) asks: {}", visible_line(server), visible(message))
}

/// A field's name or value that has control characters. It could not be shown as it is, and changing it would
/// change the answer.
fn hidden_value(schema: &Value) -> Option<&str> {
    let is_hidden = |text: &&str| visible_line(text) != *text;
    match schema {
        Value::String(text) => Some(text.as_str()).filter(is_hidden),
        Value::Array(all) => all.iter().find_map(hidden_value),
        Value::Object(fields) => {
            let name = fields.keys().map(String::as_str).find(is_hidden);
            let values = fields.iter().filter(|(name, _)| !TEXTS.contains(&name.as_str()));
            name.or_else(|| values.map(|(_, value)| value).find_map(hidden_value))
        }
        _ => None,
    }
}

/// The parts of a form that are shown and never sent back.
const TEXTS: [&str; 3] = ["title", "description", "enumNames"];

fn show_texts(schema: &mut Value) {
    let Value::Object(fields) = schema else {
        if let Value::Array(all) = schema {
            all.iter_mut().for_each(show_texts);
        }
        return;
    };
    for (name, value) in fields {
        match value {
            Value::String(text) if TEXTS.contains(&name.as_str()) => {
                *text = visible(text).into_owned();
            }
            Value::Array(all) if TEXTS.contains(&name.as_str()) => {
                for name in all {
                    if let Value::String(text) = name {
                        *text = visible_line(text).into_owned();
                    }
                }
            }
            other => show_texts(other),
        }
    }
}

/// The answer to Codex for a form that was filled in, and a remark for the user.
pub(super) fn answer(
    approval: &Approval,
    result: &ElicitResult,
    took: Duration,
) -> (Answer, Option<String>) {
    let content = result.content.as_ref().and_then(Value::as_object).cloned().unwrap_or_default();
    if result.action == ElicitationAction::Accept {
        let Some(decision) = decided(approval, &content) else {
            return no("it was declined because the answer was none of the choices.");
        };
        let declined = matches!(decision, Decision::Decline | Decision::Cancel);
        let remark = declined.then(|| "it was declined.".to_owned());
        let content = match &approval.subject {
            Subject::Input(fields) => content_of(fields, content),
            _ => content,
        };
        return (Answer { decision, content }, remark);
    }
    if took < FASTER_THAN_A_PERSON {
        return no(
            "the client declined it at once, without showing it to anybody. Use a wider `sandbox` \
                   if Codex shall do this without asking, or approve it in an interactive client.",
        );
    }
    no("it was declined.")
}

/// What a client's response to such a form means, and a remark for the user. One that is none declines.
pub(in crate::mcp) fn response(
    approval: &Approval,
    given: &Value,
    took: Duration,
) -> (Answer, Option<String>) {
    let result = ElicitResult::deserialize(given);
    let result = result.unwrap_or_else(|_| ElicitResult::new(ElicitationAction::Cancel));
    answer(approval, &result, took)
}

/// The form of an approval as JSON, for whoever shows it without MCP; or why it cannot be shown.
///
/// # Errors
/// The reason, in words.
pub fn approval_form(approval: &Approval, session: &str) -> Result<Value, String> {
    let form = form(approval, session, true)?;
    serde_json::to_value(form).map_err(|error| error.to_string())
}

/// What such a form, filled in, means to Codex, and what to remark about it.
pub fn approval_answer(approval: &Approval, filled: &Value) -> (Answer, Option<String>) {
    // Somebody was there to fill it in.
    response(approval, filled, Duration::MAX)
}

fn no(remark: &str) -> (Answer, Option<String>) {
    (Answer::plain(Decision::Decline), Some(remark.to_owned()))
}

/// The decision in a form that was accepted. `None` if it is not one of the choices. Forms of MCP servers and
/// questions have fields of their own; accepting them is the decision.
fn decided(approval: &Approval, content: &Map<String, Value>) -> Option<Decision> {
    match approval.subject {
        Subject::Input(_) | Subject::Form { .. } | Subject::Link { .. } => Some(Decision::Accept),
        _ => {
            let decision = Decision::from_word(content.get(DECISION)?.as_str()?)?;
            approval.choices.contains(&decision).then_some(decision)
        }
    }
}

fn decision(choices: &[Decision]) -> Value {
    let words: Vec<_> = choices.iter().map(|choice| choice.as_str()).collect();
    let names: Vec<_> = choices
        .iter()
        .map(|choice| match choice {
            Decision::Accept => "Yes, this once",
            Decision::AcceptForSession => "Yes, and do not ask again for the like of it",
            Decision::Decline => "No, go on without it",
            Decision::Cancel => "No, and stop the turn",
        })
        .collect();
    json!({"type": "object", "required": [DECISION], "properties": {DECISION: {
        "type": "string", "title": "Decision", "enum": words, "enumNames": names,
    }}})
}

fn inputs(fields: &[InputField]) -> Value {
    let property = |field: &InputField| {
        let mut property = Map::new();
        property.insert("type".to_owned(), "string".into());
        property.insert("title".to_owned(), visible(&field.question).into());
        let options: Vec<_> = field.options.iter().map(|option| visible_line(option)).collect();
        if field.free && !field.options.is_empty() {
            let hint = format!("One of: {}; or something else", options.join(", "));
            property.insert("description".to_owned(), hint.into());
        } else if !field.options.is_empty() {
            property.insert("enum".to_owned(), json!(options));
        }
        (visible_line(&field.id).into_owned(), Value::Object(property))
    };
    let required: Vec<_> = fields.iter().map(|field| visible_line(&field.id)).collect();
    let properties: Map<_, _> = fields.iter().map(property).collect();
    json!({"type": "object", "required": required, "properties": properties})
}

/// The content of a form under the names and with the options that Codex sent. The form had them in their
/// visible form.
fn content_of(fields: &[InputField], mut content: Map<String, Value>) -> Map<String, Value> {
    let filled = fields.iter().filter_map(|field| {
        let value = content.remove(visible_line(&field.id).as_ref())?;
        let chosen = value.as_str().and_then(|text| {
            field.options.iter().find(|option| visible_line(option) == text).cloned()
        });
        Some((field.id.clone(), chosen.map_or(value, Value::String)))
    });
    filled.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::ApprovalId;

    #[test]
    fn nothing_in_a_form_can_act_on_a_terminal() {
        let command = Subject::Command {
            command: Some("touch PWNED; : \u{1b}[2K\rls -l\nIn: /safe".into()),
            cwd: Some("/w\u{202e}".into()),
            reason: Some("\u{1b}]0;pwn\u{7}\n(session other)".into()),
        };
        let shown = serde_json::to_value(form(&question(command), "s", false).unwrap()).unwrap();
        assert_eq!(
            shown["message"],
            "Codex asks to run a command:\n  touch PWNED; : \\u{1b}[2K\\u{d}ls -l\n  In: /safe\n\
             In: /w\\u{202e}\nReason: \\u{1b}]0;pwn\\u{7}\\n(session other)\n(session s)"
        );
        let field = InputField {
            id: "q\u{1b}".into(),
            question: "Which\u{7}?".into(),
            options: vec!["a\u{9b}1m".into(), "b".into()],
            free: false,
            secret: false,
        };
        let asked = question(Subject::Input(vec![field]));
        let shown = serde_json::to_value(form(&asked, "s", false).unwrap()).unwrap();
        let property = &shown["requestedSchema"]["properties"]["q\\u{1b}"];
        assert_eq!(property["title"], "Which\\u{7}?");
        assert_eq!(property["enum"], json!(["a\\u{9b}1m", "b"]));
        let picked = json!({"q\\u{1b}": "a\\u{9b}1m"});
        let result = ElicitResult::new(ElicitationAction::Accept).with_content(picked);
        let (answer, _) = answer(&asked, &result, Duration::ZERO);
        assert_eq!(Value::Object(answer.content), json!({"q\u{1b}": "a\u{9b}1m"}));
        let of_server = |schema| {
            let (server, message) = ("s\n".into(), "m\u{1b}".into());
            form(&question(Subject::Form { server, message, schema }), "s", false)
        };
        let titled =
            json!({"type": "object", "properties": {"a": {"type": "string", "title": "\u{1b}x"}}});
        let shown = serde_json::to_value(of_server(titled).unwrap()).unwrap();
        assert_eq!(shown["requestedSchema"]["properties"]["a"]["title"], "\\u{1b}x");
        assert_eq!(shown["message"], "s\\n (an MCP server of Codex) asks: m\\u{1b}");
        let odd =
            json!({"type": "object", "properties": {"a": {"type": "string", "enum": ["\u{1b}"]}}});
        assert!(of_server(odd).unwrap_err().contains("`\\u{1b}`"));
    }

    fn question(subject: Subject) -> Approval {
        let choices = vec![Decision::Accept, Decision::Decline];
        let (id, connection) = (ApprovalId("1".into()), "c".to_owned());
        Approval { id, connection, agent: None, subject, choices }
    }

    fn command() -> Approval {
        question(Subject::Command { command: Some("touch x".into()), cwd: None, reason: None })
    }

    fn answered(content: Value) -> (Answer, Option<String>) {
        let result = ElicitResult::new(ElicitationAction::Accept).with_content(content);
        answer(&command(), &result, Duration::ZERO)
    }

    #[test]
    fn a_question_becomes_a_form_with_its_own_choices() {
        let form = serde_json::to_value(form(&command(), "s", false).unwrap()).unwrap();
        assert_eq!(form["message"], "Codex asks to run a command:\n  touch x\n(session s)");
        let decision = &form["requestedSchema"]["properties"]["decision"];
        assert_eq!(decision["enum"], json!(["accept", "decline"]));
        assert_eq!(decision["enumNames"][0], "Yes, this once");
    }

    #[test]
    fn only_what_was_offered_is_accepted() {
        assert_eq!(answered(json!({"decision": "accept"})).0.decision, Decision::Accept);
        for odd in [json!({"decision": "acceptForSession"}), json!({}), json!({"decision": 7})] {
            assert_eq!(answered(odd).0.decision, Decision::Decline);
        }
    }

    #[test]
    fn a_decline_nobody_can_have_made_says_so() {
        let declined = ElicitResult::new(ElicitationAction::Cancel);
        let (_, remark) = answer(&command(), &declined, Duration::from_millis(3));
        assert!(remark.unwrap().contains("without showing it"));
        let (_, remark) = answer(&command(), &declined, Duration::from_secs(3));
        assert_eq!(remark.unwrap(), "it was declined.");
    }

    #[test]
    fn what_cannot_be_shown_is_declined_with_a_reason() {
        let field = InputField {
            id: "q".into(),
            question: "Which?".into(),
            options: vec!["a".into()],
            free: false,
            secret: false,
        };
        let asked = question(Subject::Input(vec![field.clone()]));
        let shown = serde_json::to_value(form(&asked, "s", false).unwrap()).unwrap();
        assert_eq!(shown["requestedSchema"]["properties"]["q"]["enum"], json!(["a"]));
        let secret = question(Subject::Input(vec![InputField { secret: true, ..field }]));
        assert!(form(&secret, "s", false).unwrap_err().contains("secret"));
        let link = question(Subject::Link {
            server: "s".into(),
            message: "m".into(),
            url: "https://x".into(),
            id: "1".into(),
        });
        assert!(form(&link, "s", false).is_err() && form(&link, "s", true).is_ok());
        let odd = question(Subject::Form {
            server: "s".into(),
            message: "m".into(),
            schema: json!({"type": "object", "properties": {"a": {"type": "object"}}}),
        });
        assert!(form(&odd, "s", false).unwrap_err().contains("cannot be shown"));
    }
}
