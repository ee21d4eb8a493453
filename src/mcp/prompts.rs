//! Prompts that clients offer to people. Each tells the client's model which tool to use and how.

use rmcp::{
    ErrorData,
    model::{
        GetPromptRequestParams, GetPromptResult, JsonObject, ListPromptsResult, Prompt,
        PromptArgument, PromptMessage, Role,
    },
};

use serde_json::Value;

use super::{offer::Offer, visible_line};

/// The longest argument, in bytes: it is put into the text that comes back.
const LONGEST: usize = 32 * 1024;

/// The argument that names a session; it can be completed.
pub(super) const SESSION: &str = "sessionId";

struct Template {
    name: &'static str,
    /// The tool it has the client's model use.
    tool: &'static str,
    title: &'static str,
    description: &'static str,
    /// Name, description, whether it must be given.
    arguments: &'static [(&'static str, &'static str, bool)],
    text: fn(&Given<'_>) -> String,
}

/// What was given for an argument, if anything.
type Given<'a> = dyn Fn(&str) -> Option<String> + 'a;

static ALL: &[Template] = &[
    Template {
        name: "review-my-changes",
        tool: "review",
        title: "Review my changes",
        description: "Codex reviews what has changed here, and what it finds is weighed",
        arguments: &[
            ("base", "Branch to compare with; uncommitted changes if left out", false),
            ("focus", "What to look for", false),
        ],
        text: |given| {
            // As JSON writes it: what was given stays one argument.
            let quoted = |text: String| Value::from(text).to_string();
            let what = match (given("base"), given("focus")) {
                (None, None) => "{}".to_owned(),
                (None, Some(focus)) => {
                    let focus = quoted(format!("Review the uncommitted changes. {focus}"));
                    format!("{{\"prompt\": {focus}}}")
                }
                (Some(base), None) => format!("{{\"base\": {}}}", quoted(base)),
                (Some(base), Some(focus)) => {
                    format!("{{\"base\": {}, \"prompt\": {}}}", quoted(base), quoted(focus))
                }
            };
            format!(
                "Call the `review` tool of Codex with {what} and the working directory of this project. \
                 Then go through its findings: check each against the code, say which are right, and \
                 propose how to mend those, the most important first. Do not change anything yet."
            )
        },
    },
    Template {
        name: "second-opinion",
        tool: "codex",
        title: "Second opinion",
        description: "Codex looks at a question by itself, and its view is compared",
        arguments: &[("question", "What to ask", true)],
        text: |given| {
            format!(
                "Get a second opinion from Codex: call its `codex` tool, with the working directory of \
                 this project and sandbox read-only. It knows nothing of our conversation, so give it what \
                 it needs, but not your own answer. The question: {} \
                 Then say where its view and yours agree, where they differ, and what you now think.",
                given("question").unwrap_or_default()
            )
        },
    },
    Template {
        name: "continue-session",
        tool: "codex",
        title: "Continue a session",
        description: "Goes on with a conversation with Codex where it was left",
        arguments: &[
            (SESSION, "The session", true),
            ("message", "What to say; what comes next if left out", false),
        ],
        text: |given| {
            let session = given(SESSION).unwrap_or_default();
            let message = given("message").map_or_else(
                || "ask it to sum up where things stand and what it would do next".to_owned(),
                |message| format!("say this to it: {message}"),
            );
            format!(
                "This is about session `{session}` of Codex. Read what was said last in it with the tool \
                 `getSession`. Call the tool `codex` with that `sessionId` and {message}"
            )
        },
    },
];

/// Whether there is a prompt whose tool is offered.
pub(super) fn are_offered(offer: &Offer) -> bool {
    offered(offer).next().is_some()
}

/// The prompts there are.
pub(super) fn list(offer: &Offer) -> ListPromptsResult {
    ListPromptsResult::with_all_items(offered(offer).map(Template::define).collect())
}

fn offered(offer: &Offer) -> impl Iterator<Item = &'static Template> {
    ALL.iter().filter(|template| offer.has(template.tool))
}

/// A prompt, filled in.
pub(super) fn get(
    request: &GetPromptRequestParams,
    offer: &Offer,
) -> Result<GetPromptResult, ErrorData> {
    let found = offered(offer).find(|template| template.name == request.name);
    let template = found.ok_or_else(|| {
        let names: Vec<_> = offered(offer).map(|template| template.name).collect();
        let words =
            format!("there is no prompt `{}`; there are: {}", request.name, names.join(", "));
        ErrorData::invalid_params(words, None)
    })?;
    let is_long = |value: &Value| value.as_str().is_some_and(|text| text.len() > LONGEST);
    let mut given = request.arguments.iter().flatten();
    if let Some((name, _)) = given.find(|(_, value)| is_long(value)) {
        let words = format!("argument `{}` is longer than {LONGEST} bytes", visible_line(name));
        return Err(ErrorData::invalid_params(words, None));
    }
    let none = JsonObject::new();
    let arguments = request.arguments.as_ref().unwrap_or(&none);
    let given = |name: &str| {
        let text = arguments.get(name)?.as_str()?.trim();
        (!text.is_empty()).then(|| text.to_owned())
    };
    let mut required = template.arguments.iter().filter(|(.., required)| *required);
    if let Some((name, ..)) = required.find(|(name, ..)| given(name).is_none()) {
        return Err(ErrorData::invalid_params(format!("argument `{name}` is required"), None));
    }
    let text = (template.text)(&given);
    let message = PromptMessage::new_text(Role::User, offer.only(&text));
    Ok(GetPromptResult::new(vec![message]).with_description(template.description))
}

impl Template {
    fn define(&self) -> Prompt {
        let argument = |(name, description, required): &(&str, &str, bool)| {
            PromptArgument::new(*name).with_description(*description).with_required(*required)
        };
        let arguments = self.arguments.iter().map(argument).collect();
        Prompt::new(self.name, Some(self.description), Some(arguments)).with_title(self.title)
    }
}
