//! Another's opinion of JSON against a schema: Ajv, the validator that most programs use.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use crate::npm;

const VERSION: &str = "8.20.0";

/// Reads a list of schemas, each with what is held against it, and writes what is wrong with each.
const SCRIPT: &str = "
const [folder, draft] = process.argv.slice(1);
const Ajv = require(folder + '/node_modules/ajv/dist/' + draft);
const settings = { strict: false, validateFormats: false, logger: false };
const cases = JSON.parse(require('fs').readFileSync(0, 'utf8'));
const answers = cases.map(([schema, values]) => {
  let check;
  try { check = new Ajv.default(settings).compile(schema); } catch (error) { return String(error); }
  return values.map((value) => {
    try { return check(value) ? null : JSON.stringify(check.errors); } catch (error) { return 'gave up'; }
  });
});
process.stdout.write(JSON.stringify(answers));
";

/// Said of a value in place of what is wrong: a part of the schema refers to itself, and Ajv found no end.
pub const GAVE_UP: &str = "gave up";

/// What Ajv says of one schema: that it is none, and why, or of each value what is wrong with it, if anything is.
pub type Opinion = Result<Vec<Option<String>>, String>;

/// Holds values against schemas, which are of the draft 2020-12, or of draft 7 if they say so.
///
/// # Panics
/// If Ajv cannot be fetched or does not run.
pub fn check(cases: &[(Value, Vec<Value>)]) -> Vec<Opinion> {
    let folder = npm::fetch("ajv", VERSION).unwrap_or_else(|reason| panic!("{reason}"));
    let is_old = cases.iter().any(|(schema, _)| {
        schema["$schema"].as_str().is_some_and(|draft| draft.contains("draft-07"))
    });
    let mut node = Command::new("node")
        .args(["-e", SCRIPT])
        .arg(folder)
        .arg(if is_old { "ajv" } else { "2020" })
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Node.js, which comes with npm");
    let asked = json!(cases).to_string();
    let mut stdin = node.stdin.take().expect("a pipe");
    // It writes nothing before it has read everything.
    stdin.write_all(asked.as_bytes()).expect("a reader");
    drop(stdin);
    let answer = node.wait_with_output().expect("an answer");
    let answer: Vec<Value> = serde_json::from_slice(&answer.stdout).expect("opinions");
    answer.into_iter().map(opinion).collect()
}

fn opinion(said: Value) -> Opinion {
    match said {
        Value::Array(values) => {
            Ok(values.iter().map(|value| value.as_str().map(str::to_owned)).collect())
        }
        other => Err(other.to_string()),
    }
}
