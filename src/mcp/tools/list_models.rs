//! `listModels`: what the installed Codex offers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::tool::{Call, Callable, Cx, Effect, Outcome};
use crate::{
    mcp::{answer::Answer, error::ToolError},
    session::Model,
};

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct ListModels {}

impl Callable for ListModels {
    const NAME: &'static str = "listModels";
    const TITLE: &'static str = "List models";
    const DESCRIPTION: &'static str =
        "Lists the models the installed Codex offers, with the reasoning efforts each takes.";
    const EFFECT: Effect = Effect::Reads;

    type Output = Output;

    async fn call(self, cx: &Cx, _: Call<'_>) -> Result<Outcome, ToolError> {
        let models = cx.sessions.models().await?;
        let models = models.into_iter().map(ModelView::from).collect();
        Ok(Answer::plain(&Output { models, warnings: Vec::new() }).into())
    }
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Output {
    /// The models.
    models: Vec<ModelView>,
    /// What to know besides.
    warnings: Vec<String>,
}

#[skip_serializing_none]
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ModelView {
    /// Pass it as model.
    id: String,
    /// Its name for people.
    name: String,
    /// What it is for.
    description: String,
    /// Whether Codex takes it when nobody chooses.
    is_default: bool,
    /// The reasoning efforts it takes, lowest first.
    reasoning_efforts: Vec<String>,
    /// The one it uses when nobody chooses.
    default_reasoning_effort: Option<String>,
}

impl From<Model> for ModelView {
    fn from(model: Model) -> Self {
        Self {
            id: model.id,
            name: model.name,
            description: model.description,
            is_default: model.is_default,
            reasoning_efforts: model.efforts,
            default_reasoning_effort: model.default_effort,
        }
    }
}
