//! Entries for a server that is reached by a URL, as each client writes them. The token is in a variable of the client's
//! environment, never in its file.

use serde_json::{Value, json};

use super::{error::SetupError, known::Client};

/// Where a server is, and the variable that has the token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Remote {
    pub(super) url: String,
    /// `None` if the client logs in by itself, or needs no token.
    pub(super) token_env: Option<String>,
}

impl Client {
    /// How an entry for a server at a URL looks in its file.
    ///
    /// # Errors
    /// [`SetupError::NoHttp`], [`SetupError::NoVariables`].
    pub(super) fn remote(self, remote: &Remote) -> Result<Value, SetupError> {
        let url = &remote.url;
        let mut value = match self {
            Self::ClaudeDesktop => return Err(SetupError::NoHttp),
            Self::ClaudeCode | Self::Vscode => json!({"type": "http", "url": url}),
            Self::Gemini => json!({"httpUrl": url}),
            Self::Opencode => json!({"type": "remote", "url": url, "enabled": true}),
            Self::Windsurf => json!({"serverUrl": url}),
            Self::Codex | Self::Cursor | Self::Zed => json!({"url": url}),
        };
        let Some(name) = &remote.token_env else { return Ok(value) };
        let variable = match self {
            Self::Codex => {
                set(&mut value, "bearer_token_env_var", json!(name));
                return Ok(value);
            }
            Self::Zed => return Err(SetupError::NoVariables),
            Self::Opencode => format!("{{env:{name}}}"),
            Self::Cursor | Self::Vscode | Self::Windsurf => format!("${{env:{name}}}"),
            Self::ClaudeCode | Self::ClaudeDesktop | Self::Gemini => format!("${{{name}}}"),
        };
        set(&mut value, "headers", json!({"Authorization": format!("Bearer {variable}")}));
        Ok(value)
    }
}

fn set(value: &mut Value, key: &str, field: Value) {
    if let Value::Object(fields) = value {
        fields.insert(key.to_owned(), field);
    }
}

/// Whether two entries are for a server at the same URL.
pub(super) fn same_url(one: &Value, other: &Value) -> bool {
    let url = |entry: &Value| {
        let keys = ["url", "httpUrl", "serverUrl"];
        keys.iter().find_map(|key| entry.get(key)?.as_str().map(str::to_owned))
    };
    url(one).is_some_and(|here| Some(here) == url(other))
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn every_client_that_speaks_http_has_a_form_of_its_own_and_no_token_in_it() {
        let remote = Remote {
            url: "https://codex.example/mcp".to_owned(),
            token_env: Some("CODEX_SERVER_TOKEN".to_owned()),
        };
        let shown: Vec<String> = Client::value_variants()
            .iter()
            .map(|client| match client.remote(&remote) {
                Ok(value) => format!("{client:?}: {value:#}"),
                Err(error) => format!("{client:?}: {error}"),
            })
            .collect();
        insta::assert_snapshot!(shown.join("\n"));
    }
}
