//! `listModels`: what the installed Codex offers.

use rmcp::model::JsonObject;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::tool::{Cx, Effect, Tool};
use crate::{
    mcp::{answer::Answer, arguments, error::ToolError, schema},
    session::Model,
};

pub(super) const TOOL: Tool = Tool {
    name: "listModels",
    hidden: &[],
    title: "List models",
    description: "Lists the models the installed Codex offers, with the reasoning efforts each takes.",
    effect: Effect::Reads,
    input: schema::of::<Input>,
    output: schema::of_result::<Output>,
    call: |cx, _, given| Box::pin(async move { Ok(call(cx, given).await?.into()) }),
};

#[derive(Debug, Deserialize, JsonSchema)]
struct Input {}

#[derive(Debug, Serialize, JsonSchema)]
struct Output {
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

async fn call(cx: &Cx, given: Option<JsonObject>) -> Result<Answer, ToolError> {
    let Input {} = arguments::read(given)?;
    let models = cx.sessions.models().await?;
    let models = models.into_iter().map(ModelView::from).collect();
    Ok(Answer::plain(&Output { models, warnings: Vec::new() }))
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
