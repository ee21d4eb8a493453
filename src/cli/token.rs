//! `token`: tokens for callers over HTTP.

use std::io::Write;

use serde_json::json;

use super::{
    error::CliError,
    run::{Exit, written},
    screen::{stderr, stdout},
};
use crate::{
    config::Config,
    mcp::explain,
    session::{NewToken, Scope, SessionError, Span, Tenant, TokenRecord, Tokens},
};

/// What to do with tokens.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum TokenCommand {
    /// Make one, and print it: nobody can see it again
    New {
        /// Whose sessions it is for: a name of `[tenants]` in the configuration
        #[arg(long, value_name = "NAME")]
        tenant: Tenant,
        /// `read`: look at sessions; `run`: have Codex work; `admin`: look at the server too
        #[arg(long, default_value = "run", value_parser = scope)]
        scope: Scope,
        /// How long it lasts, such as `90d`; until it is revoked if not said
        #[arg(long, value_name = "SPAN")]
        expires: Option<Span>,
    },
    /// List all, without their secrets
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// End one
    Revoke {
        /// Its id, as the list has it
        id: String,
    },
}

impl TokenCommand {
    /// Does it.
    ///
    /// # Errors
    /// [`CliError`].
    pub async fn run(self, tokens: &Tokens, config: &Config) -> Result<Exit, CliError> {
        match self {
            Self::New { tenant, scope, expires } => {
                let made = tokens.issue(tenant.clone(), scope, expires.map(|span| span.0)).await;
                match made {
                    Ok(new) => show_new(&new, config),
                    Err(error) => complain(&error),
                }
            }
            Self::List { json } => match tokens.list().await {
                Ok(all) => list(&all, json),
                Err(error) => complain(&error),
            },
            Self::Revoke { id } => match tokens.revoke(&id).await {
                Ok(true) => {
                    written(writeln!(stderr(), "Token {id} is revoked."), "the answer")?;
                    Ok(Exit::Done)
                }
                Ok(false) => {
                    let said =
                        writeln!(stderr(), "There is no token {id}; `token list` shows all.");
                    written(said, "the answer")?;
                    Ok(Exit::Failed)
                }
                Err(error) => complain(&error),
            },
        }
    }
}

fn show_new(new: &NewToken, config: &Config) -> Result<Exit, CliError> {
    let TokenRecord { id, tenant, scope, expires_at, .. } = &new.record;
    let until = expires_at.map_or_else(|| "it is revoked".to_owned(), |end| end.to_string());
    written(writeln!(stdout(), "{}", new.secret), "the token")?;
    let mut said = format!(
        "Token {id} for tenant {tenant}, scope {}, good until {until}. It is shown this once.\n",
        scope.as_str()
    );
    if !config.tenants.contains_key(tenant.as_str()) {
        said += &format!(
            "It opens nothing yet: the configuration here has no tenant `{tenant}`. Add\n\
             [tenants.{tenant}]\nroots = [\"/path/to/work\"]\n"
        );
    }
    written(stderr().write_all(said.as_bytes()), "the answer")?;
    Ok(Exit::Done)
}

fn list(all: &[TokenRecord], as_json: bool) -> Result<Exit, CliError> {
    let mut text = String::new();
    if as_json {
        let tokens = all.iter().map(|token| {
            json!({
                "id": token.id, "tenant": token.tenant, "scope": token.scope,
                "createdAt": token.created_at.to_string(),
                "expiresAt": token.expires_at.map(|end| end.to_string()),
            })
        });
        text = json!({"tokens": tokens.collect::<Vec<_>>()}).to_string() + "\n";
    } else {
        for token in all {
            let until = token.expires_at.map_or_else(|| "-".to_owned(), |end| end.to_string());
            let (id, scope) = (&token.id, token.scope.as_str());
            text += &format!("{id}  {:<20} {scope:<6} {until}\n", token.tenant.as_str());
        }
    }
    written(stdout().write_all(text.as_bytes()), "the tokens")?;
    Ok(Exit::Done)
}

fn complain(error: &SessionError) -> Result<Exit, CliError> {
    let error = explain(error);
    let said = writeln!(stderr(), "codex-mcp-server: {} {}", error.message, error.next);
    written(said, "the answer")?;
    Ok(Exit::Failed)
}

fn scope(text: &str) -> Result<Scope, String> {
    text.parse().map_err(|_| "it must be read, run or admin".to_owned())
}
