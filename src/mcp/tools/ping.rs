//! `ping`: whether the server is there.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::tool::{Call, Callable, Cx, Effect, Outcome};
use crate::mcp::{answer::Answer, error::ToolError};

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct Ping {
    /// What to answer. Default: pong.
    message: Option<String>,
}

impl Callable for Ping {
    const NAME: &'static str = "ping";
    const TITLE: &'static str = "Ping";
    const DESCRIPTION: &'static str =
        "Answers at once, without asking Codex: with the message it was given, or `pong`.";
    const EFFECT: Effect = Effect::Reads;

    type Output = Output;

    async fn call(self, _: &Cx, _: Call<'_>) -> Result<Outcome, ToolError> {
        let Self { message } = self;
        let message = message.unwrap_or_else(|| "pong".to_owned());
        Ok(Answer::new(&Output { message: message.clone(), warnings: Vec::new() }, message).into())
    }
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Output {
    /// The answer.
    message: String,
    /// What to know besides.
    warnings: Vec<String>,
}
