//! What is asked of Codex besides threads: the user's defaults, and the models there are.

use std::path::Path;

use super::connection::Connection;
use crate::codex::{
    error::CodexError,
    protocol::{ConfigRead, ConfigReadParams, ModelList, ModelListParams},
    settings::Sandbox,
};

/// What the user's own Codex configuration says for a directory.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Defaults {
    /// `model`.
    pub model: Option<String>,
    /// `sandbox_mode`.
    pub sandbox: Option<Sandbox>,
}

/// A model that Codex offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// What to pass as `model`.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Whether Codex takes it when nobody chooses.
    pub is_default: bool,
    /// The reasoning efforts it takes, lowest first.
    pub efforts: Vec<String>,
    /// The effort it uses when nobody chooses.
    pub default_effort: Option<String>,
}

impl Defaults {
    pub(super) async fn read(connection: &Connection, cwd: &Path) -> Result<Self, CodexError> {
        match connection.call::<ConfigRead>("config/read", ConfigReadParams { cwd }).await {
            Ok(ConfigRead { config }) => {
                Ok(Self { model: config.model, sandbox: config.sandbox_mode })
            }
            Err(CodexError::Refused { message, .. }) => {
                tracing::debug!(message, "this Codex does not tell its configuration");
                Ok(Self::default())
            }
            Err(error) => Err(error),
        }
    }
}

impl Model {
    pub(super) async fn list(connection: &Connection) -> Result<Vec<Self>, CodexError> {
        let mut models = Vec::new();
        let mut cursor = None;
        loop {
            let page: ModelList = connection.call("model/list", ModelListParams { cursor }).await?;
            let visible = page.data.into_iter().filter(|model| !model.hidden);
            models.extend(visible.map(|model| {
                Self {
                    id: model.model,
                    name: model.display_name,
                    description: model.description,
                    is_default: model.is_default,
                    efforts: model
                        .supported_reasoning_efforts
                        .into_iter()
                        .map(|effort| effort.reasoning_effort)
                        .collect(),
                    default_effort: model.default_reasoning_effort,
                }
            }));
            cursor = page.next_cursor;
            if cursor.is_none() {
                return Ok(models);
            }
        }
    }
}
