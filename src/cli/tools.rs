//! Makes a subcommand of every tool: the flags are the properties of its schema.

use std::sync::LazyLock;

use clap::{
    Arg, ArgAction, ArgMatches, Command,
    builder::{PossibleValuesParser, ValueParser},
    value_parser,
};
use serde_json::{Map, Value};

use crate::mcp::{ToolSummary, tool_summaries};

/// Arguments that can be given without their flag. A tool takes the first of these that it has.
const POSITIONAL: [&str; 4] = ["prompt", "query", "sessionId", "message"];

/// Comes first, without its flag, if a tool requires it.
const SESSION: &str = "sessionId";

/// Arguments that can come from standard input.
const PIPED: [&str; 2] = ["prompt", "query"];

/// The argument that has no effect for these tools: a turn would end with this process, so the call waits.
const WAITED_FOR: (&str, [&str; 3]) = ("waitSeconds", ["codex", "review", "websearch"]);

/// The argument of `help` that names a command to explain.
pub(super) const TOPIC: &str = "command";

const JSON: &str = "json";

/// A tool that was called on the command line.
#[derive(Debug, Clone)]
pub struct ToolCall {
    pub(super) name: String,
    pub(super) arguments: Map<String, Value>,
    /// Whether the structured result is wanted.
    pub(super) json: bool,
    /// The argument that may be read from standard input, if it was not given.
    pub(super) from_input: Option<Piped>,
    /// Whether a limit for waiting was given, which has no effect here.
    pub(super) is_waited_for: bool,
}

/// An argument that standard input can bring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piped {
    pub(super) name: &'static str,
    /// Whether `-` was given. If not, only a pipe is read.
    pub(super) asked: bool,
    /// Whether the tool requires it.
    pub(super) required: bool,
}

/// Made once: schemas take longer than everything else on a command line.
static TOOLS: LazyLock<Vec<ToolSummary>> = LazyLock::new(tool_summaries);

/// One subcommand for each tool.
pub(super) fn commands() -> Vec<Command> {
    TOOLS.iter().map(command).collect()
}

/// Reads the arguments of a tool. `None` if there is no tool of this name.
pub(super) fn read(name: &str, given: &ArgMatches) -> Option<ToolCall> {
    let tool = TOOLS.iter().find(|tool| tool.name == name)?;
    let mut arguments = Map::new();
    for (name, schema) in properties(tool) {
        let positional = positional(tool).contains(&name.as_str());
        let flag = if positional { flag_of(name) } else { name.clone() };
        if let Some(value) = value(given, &flag, schema) {
            arguments.insert(name.clone(), value);
        }
    }
    let mut words = positional(tool)
        .into_iter()
        .filter_map(|name| given.get_one::<String>(name))
        .map(|word| Value::from(word.as_str()));
    for name in positional(tool) {
        // What was given by its flag is not among the words.
        if !arguments.contains_key(name) {
            arguments.extend(words.next().map(|word| (name.to_owned(), word)));
        }
    }
    let from_input = positional(tool).into_iter().find(|name| PIPED.contains(name));
    let from_input = from_input.and_then(|name| {
        let asked = arguments.get(name) == Some(&"-".into());
        if asked {
            arguments.remove(name);
        }
        let required = is_required(tool, name);
        let missing = !arguments.contains_key(name);
        (asked || (required && missing)).then_some(Piped { name, asked, required })
    });
    let json = given.get_flag(JSON);
    let (argument, tools) = WAITED_FOR;
    let is_waited_for = tools.contains(&tool.name) && arguments.remove(argument).is_some();
    Some(ToolCall { name: tool.name.to_owned(), arguments, json, from_input, is_waited_for })
}

fn properties(tool: &ToolSummary) -> impl Iterator<Item = (&String, &Value)> {
    let properties = tool.input.get("properties").and_then(Value::as_object);
    properties.into_iter().flatten()
}

/// The arguments that can be given without their flag, in order.
fn positional(tool: &ToolSummary) -> Vec<&'static str> {
    let has = |name: &str| properties(tool).any(|(known, _)| known == name);
    let first = POSITIONAL.into_iter().find(|name| has(name));
    let session = (first != Some(SESSION) && is_required(tool, SESSION)).then_some(SESSION);
    session.into_iter().chain(first).collect()
}

/// The id of the flag of an argument that can also be given without it.
fn flag_of(name: &str) -> String {
    format!("--{name}")
}

fn is_required(tool: &ToolSummary, name: &str) -> bool {
    let required = tool.input.get("required").and_then(Value::as_array);
    required.is_some_and(|required| required.contains(&name.into()))
}

fn command(tool: &ToolSummary) -> Command {
    let json = Arg::new(JSON).long(JSON).action(ArgAction::SetTrue);
    let command = Command::new(tool.name)
        .about(tool.title)
        .long_about(tool.description)
        .arg(json.help("Print the structured result as JSON"));
    let command = match dashed(tool.name) {
        dashed if dashed == tool.name => command,
        dashed => command.alias(dashed),
    };
    let command = match tool.name {
        "help" => command.arg(
            Arg::new(TOPIC)
                .num_args(0..)
                .value_name("COMMAND")
                .help("Explain this command instead"),
        ),
        _ => command,
    };
    let positional = positional(tool);
    let words = positional.iter().enumerate().filter_map(|(place, name)| {
        let schema = properties(tool).find(|(known, _)| known == name)?.1;
        Some(word(tool, name, schema).index(place + 1))
    });
    let flags = properties(tool).map(|(name, schema)| {
        let flag = argument(tool, name, schema);
        if positional.contains(&name.as_str()) {
            flag.id(flag_of(name)).required(false).hide(true)
        } else {
            flag
        }
    });
    command.args(words).args(flags)
}

/// An argument that can be given without its flag.
fn word(tool: &ToolSummary, name: &'static str, schema: &Value) -> Arg {
    let description = schema.get("description").and_then(Value::as_str).unwrap_or_default();
    let is_piped = PIPED.contains(&name);
    let hint = if is_piped { " (`-`: from standard input)" } else { "" };
    let word = Arg::new(name).help(format!("{description}{hint}")).value_name(name.to_uppercase());
    match name {
        SESSION if is_required(tool, name) => {
            session_name(word).required_unless_present(flag_of(name))
        }
        SESSION => session_name(word),
        _ => word,
    }
}

/// Makes an argument take the name of a session, which may begin with `-`.
fn session_name(argument: Arg) -> Arg {
    argument.allow_hyphen_values(true).value_parser(not_an_option)
}

/// Fails for a text that is more likely a mistyped option than the name of a session.
pub(super) fn not_an_option(text: &str) -> Result<String, String> {
    if text.starts_with("--") {
        return Err(
            "there is no such option; the name of a session that begins like one goes into \
                    --sessionId=NAME"
                .to_owned(),
        );
    }
    Ok(text.to_owned())
}

fn argument(tool: &ToolSummary, name: &str, schema: &Value) -> Arg {
    let text = |key: &str| schema.get(key).and_then(Value::as_str).unwrap_or_default();
    let (waited, tools) = WAITED_FOR;
    let description = if name == waited && tools.contains(&tool.name) {
        "Without effect here: the terminal waits as long as the turn takes"
    } else {
        text("description")
    };
    let argument = Arg::new(name.to_owned()).help(description.to_owned());
    let argument = match dashed(name) {
        dashed if dashed == name => argument,
        dashed => argument.alias(dashed),
    };
    let argument = argument.long(name.to_owned()).required(is_required(tool, name));
    match text("type") {
        "boolean" => argument
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
            .value_parser(value_parser!(bool))
            .value_name("true|false")
            .hide_possible_values(true),
        "integer" => argument.value_parser(value_parser!(u64)).value_name("NUMBER"),
        "array" => argument.action(ArgAction::Append).value_name("FILE"),
        "object" => argument.value_parser(ValueParser::new(object)).value_name("JSON|@FILE"),
        _ => match words(schema) {
            Some(words) => {
                argument.value_parser(PossibleValuesParser::new(words)).value_name("WORD")
            }
            None => argument.allow_hyphen_values(true).value_name("TEXT"),
        },
    }
}

fn words(schema: &Value) -> Option<Vec<String>> {
    let words = schema.get("enum")?.as_array()?;
    Some(words.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}

fn value(given: &ArgMatches, name: &str, schema: &Value) -> Option<Value> {
    match schema.get("type").and_then(Value::as_str).unwrap_or_default() {
        "boolean" => given.get_one::<bool>(name).map(|value| (*value).into()),
        "integer" => given.get_one::<u64>(name).map(|value| (*value).into()),
        "array" => {
            let values = given.get_many::<String>(name)?;
            Some(values.map(|value| Value::from(value.as_str())).collect())
        }
        "object" => given.get_one::<Value>(name).cloned(),
        _ => given.get_one::<String>(name).map(|value| value.as_str().into()),
    }
}

/// A JSON object, or a file with one after `@`.
fn object(text: &str) -> Result<Value, String> {
    let read = match text.strip_prefix('@') {
        Some(path) => std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?,
        None => text.to_owned(),
    };
    let value: Value = serde_json::from_str(&read).map_err(|error| error.to_string())?;
    if value.is_object() { Ok(value) } else { Err("it is not a JSON object".to_owned()) }
}

/// The name in lower case with dashes, as other command lines spell it.
fn dashed(name: &str) -> String {
    let mut dashed = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            dashed.push('-');
        }
        dashed.push(letter.to_ascii_lowercase());
    }
    dashed
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn line() -> Command {
        Command::new("x").disable_help_subcommand(true).subcommands(commands())
    }

    fn called(words: &[&str]) -> ToolCall {
        let words = [&["x"], words].concat();
        let matches = line().try_get_matches_from(words).unwrap();
        let (name, given) = matches.subcommand().unwrap();
        read(name, given).unwrap()
    }

    #[test]
    fn flags_are_the_arguments_of_the_tool() {
        let call = called(&[
            "codex",
            "--sessionId",
            "auth",
            "--reset-session",
            "--timeoutSeconds",
            "60",
            "--webSearch=false",
            "--images",
            "a.png",
            "--images",
            "b.png",
            "--outputSchema",
            r#"{"type": "object"}"#,
            "go on",
        ]);
        let expected = json!({
            "prompt": "go on", "sessionId": "auth", "resetSession": true, "timeoutSeconds": 60,
            "webSearch": false, "images": ["a.png", "b.png"], "outputSchema": {"type": "object"},
        });
        assert_eq!(Value::Object(call.arguments), expected);
        assert_eq!(call.from_input, None);
    }

    #[test]
    fn a_prompt_can_come_from_standard_input() {
        let missing = called(&["codex"]).from_input.unwrap();
        assert_eq!(missing, Piped { name: "prompt", asked: false, required: true });
        let asked = called(&["review", "-"]).from_input.unwrap();
        assert_eq!(asked, Piped { name: "prompt", asked: true, required: false });
        assert_eq!(called(&["review"]).from_input, None);
        assert_eq!(called(&["steer", "--sessionId", "s", "more"]).arguments["prompt"], "more");
    }

    #[test]
    fn what_may_stand_alone_may_have_its_flag_too() {
        let arguments = |words: &[&str]| Value::Object(called(words).arguments);
        assert_eq!(arguments(&["ping", "--message", "a"]), json!({"message": "a"}));
        assert_eq!(arguments(&["ping", "a"]), json!({"message": "a"}));
        assert_eq!(arguments(&["codex", "--prompt", "p"]), json!({"prompt": "p"}));
        assert_eq!(arguments(&["wait", "--session-id", "s"]), json!({"sessionId": "s"}));
        let steered = json!({"sessionId": "s", "prompt": "more"});
        for words in [
            &["steer", "s", "more"][..],
            &["steer", "--sessionId", "s", "more"],
            &["steer", "s", "--prompt", "more"],
            &["steer", "--prompt", "more", "--sessionId", "s"],
        ] {
            assert_eq!(arguments(words), steered, "{words:?}");
        }
        assert_eq!(called(&["steer", "s"]).from_input.unwrap().name, "prompt");
    }

    #[test]
    fn every_argument_of_a_tool_is_taken() {
        let call = called(&["codex", "--waitSeconds", "5", "x"]);
        assert!(call.is_waited_for && !call.arguments.contains_key("waitSeconds"));
        let call = called(&["wait", "s", "--waitSeconds", "5"]);
        assert_eq!((call.is_waited_for, &call.arguments["waitSeconds"]), (false, &json!(5)));
    }

    #[test]
    fn the_name_of_a_session_may_begin_with_a_dash() {
        for words in [
            &["wait", "-x"][..],
            &["wait", "--sessionId", "-x"],
            &["wait", "--", "-x"],
            &["interrupt", "-x", "--json"],
        ] {
            assert_eq!(called(words).arguments["sessionId"], "-x", "{words:?}");
        }
        assert_eq!(called(&["codex", "--sessionId", "--x", "p"]).arguments["sessionId"], "--x");
        assert!(line().try_get_matches_from(["x", "wait", "--jsn"]).is_err());
        assert!(line().try_get_matches_from(["x", "codex", "--fulauto"]).is_err());
    }

    #[test]
    fn every_tool_is_there_under_both_spellings() {
        for tool in TOOLS.iter() {
            let help =
                line().try_get_matches_from(["x", &dashed(tool.name), "--help"]).unwrap_err();
            assert_eq!(help.kind(), clap::error::ErrorKind::DisplayHelp, "{}", tool.name);
        }
        assert_eq!(called(&["getSession", "s"]).arguments["sessionId"], "s");
        assert!(line().try_get_matches_from(["x", "wait"]).is_err());
    }
}
