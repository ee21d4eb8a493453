//! A client's configuration file before and after, and writing it.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use imara_diff::{Algorithm, BasicLineDiffPrinter, Diff, InternedInput, UnifiedDiffConfig};
use serde_json::Value;

use super::error::SetupError;

/// A file before and after.
pub(super) struct Change {
    pub(super) path: PathBuf,
    pub(super) before: String,
    pub(super) after: String,
    /// What is there under the name.
    pub(super) there: Option<Value>,
    /// What shall be there.
    pub(super) wanted: Option<Value>,
}

impl Change {
    /// What would change, as a unified diff.
    pub(super) fn diff(&self) -> String {
        let input = InternedInput::new(self.before.as_str(), self.after.as_str());
        let mut diff = Diff::compute(Algorithm::Histogram, &input);
        diff.postprocess_lines(&input);
        let mut context = UnifiedDiffConfig::default();
        context.context_len(2);
        let printer = BasicLineDiffPrinter(&input.interner);
        let path = self.path.display();
        format!("--- {path}\n+++ {path}\n{}", diff.unified_diff(&printer, context, &input))
    }

    /// Writes it, unless somebody else has meanwhile.
    pub(super) fn write(&self) -> Result<(), SetupError> {
        if read(&self.path)? != self.before {
            return Err(SetupError::Changed { path: self.path.clone() });
        }
        self.put(&self.after)
    }

    /// Puts back what was there.
    pub(super) fn restore(&self) -> Result<(), SetupError> {
        self.put(&self.before)
    }

    /// All or nothing, with the rights the file had.
    fn put(&self, text: &str) -> Result<(), SetupError> {
        let failed =
            |what| move |source| SetupError::File { what, path: self.path.clone(), source };
        let folder = self.path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(failed("make the folder of"))?;
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed("write"))?;
        file.write_all(text.as_bytes()).map_err(failed("write"))?;
        if let Ok(known) = fs::metadata(&self.path) {
            fs::set_permissions(file.path(), known.permissions()).map_err(failed("write"))?;
        }
        file.persist(&self.path).map_err(|error| failed("write")(error.error))?;
        Ok(())
    }
}

/// The text of a file; of one that is not there, nothing.
pub(super) fn read(path: &Path) -> Result<String, SetupError> {
    // A pipe would be read for ever.
    if path.metadata().is_ok_and(|there| !there.is_file()) {
        return Err(SetupError::NotAFile { path: path.to_owned() });
    }
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        read => {
            read.map_err(|source| SetupError::File { what: "read", path: path.to_owned(), source })
        }
    }
}

/// Fields that say how another server is started or reached: they go with it.
const PROGRAM: [&str; 15] = [
    "args",
    "bearer_token_env_var",
    "command",
    "cwd",
    "env_http_headers",
    "env_vars",
    "headers",
    "httpUrl",
    "http_headers",
    "oauth",
    "oauth_resource",
    "serverUrl",
    "source",
    "type",
    "url",
];

/// What is wanted, and what the user has added to the entry that was there: a time limit, a variable, whether
/// it is turned on.
pub(super) fn kept(there: Option<&Value>, wanted: Value) -> Value {
    let (Some(Value::Object(there)), Value::Object(wanted)) = (there, &wanted) else {
        return wanted;
    };
    let mut all = there.clone();
    let ours: &[&str] = &["args", "command"];
    let is_started = wanted.contains_key("command");
    let is_ours = is_ours(&Value::Object(all.clone()));
    let replaced = if is_ours && is_started { ours } else { &PROGRAM };
    if !is_started {
        // Variables for a program that is started no more.
        all.retain(|name, _| !["env", "environment"].contains(&name.as_str()));
    }
    all.retain(|name, _| !replaced.contains(&name.as_str()));
    for (name, value) in wanted {
        match (all.get_mut(name), value) {
            (Some(Value::Object(known)), Value::Object(ours)) => known.extend(ours.clone()),
            // On or off was the user's decision.
            (Some(_), Value::Bool(_)) => {}
            _ => drop(all.insert(name.clone(), value.clone())),
        }
    }
    Value::Object(all)
}

/// Whether an entry starts a server of this name, wherever it is.
pub(super) fn is_ours(entry: &Value) -> bool {
    let command = entry.get("command");
    let command = command.and_then(|command| command.as_str().or_else(|| command.get(0)?.as_str()));
    let name = command.and_then(|command| Path::new(command).file_stem()?.to_str());
    name == Some("codex-mcp-server")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_user_added_stays_and_the_program_is_ours() {
        let there = json!({
            "type": "http", "url": "http://x", "command": "npx", "args": ["-y", "codex-mcp-server"],
            "enabled": false, "timeout": 600, "env": {"CODEX_HOME": "/c", "CODEX_BIN": "/old"},
        });
        let wanted = json!({"command": "/us", "enabled": true, "env": {"CODEX_BIN": "/b"}});
        let expected = json!({
            "command": "/us", "enabled": false, "timeout": 600,
            "env": {"CODEX_HOME": "/c", "CODEX_BIN": "/b"},
        });
        assert_eq!(kept(Some(&there), wanted.clone()), expected);
        assert_eq!(kept(None, wanted.clone()), wanted);
    }
}
