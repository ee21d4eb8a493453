//! Which model a turn asks for, and why.

use serde::{Deserialize, Serialize};

use crate::codex::{Codex, CodexError, Defaults};

/// The npm package's default. Used only if Codex offers it or cannot list its models.
const PREFERRED: &str = "gpt-5-codex";

/// Where the choice of a model comes from, strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModelSource {
    /// This call named it.
    Call,
    /// An earlier call of the session named it.
    Session,
    /// The operator of this server named it.
    Operator,
    /// The user's own Codex configuration names it.
    CodexConfig,
    /// Nobody named one: this server's default. Codex offers it, or cannot list its models.
    Preferred,
    /// Nobody named one: Codex chose.
    CodexDefault,
}

impl ModelSource {
    /// The word for it on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Session => "session",
            Self::Operator => "operator",
            Self::CodexConfig => "codex-config",
            Self::Preferred => "preferred",
            Self::CodexDefault => "codex-default",
        }
    }
}

/// A model to ask for. It is `None`, which leaves the choice to Codex, only if no model can be named: without one a
/// resumed thread keeps the model it ran with last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ModelChoice {
    pub(super) model: Option<String>,
    pub(super) source: ModelSource,
}

impl ModelChoice {
    /// The first model named by the call, the session or the operator, in this order. `None` if none names one.
    pub(super) fn named(
        call: Option<&str>,
        session: Option<&str>,
        operator: Option<&str>,
    ) -> Option<Self> {
        let ranked = [
            (call, ModelSource::Call),
            (session, ModelSource::Session),
            (operator, ModelSource::Operator),
        ];
        ranked
            .into_iter()
            .find_map(|(model, source)| Some(Self { model: Some(model?.to_owned()), source }))
    }

    /// The choice if neither call, session nor operator names a model.
    pub(super) async fn unnamed(
        codex: &Codex,
        defaults: &Defaults,
        is_review: bool,
    ) -> Result<Self, CodexError> {
        let own = defaults.review_model.as_ref().filter(|_| is_review);
        if let Some(model) = own.or(defaults.model.as_ref()) {
            return Ok(Self { model: Some(model.clone()), source: ModelSource::CodexConfig });
        }
        let models = match codex.models().await {
            Ok(models) => models,
            Err(error @ (CodexError::Refused { .. } | CodexError::Unsupported { .. })) => {
                tracing::debug!(%error, "this Codex does not list its models");
                Vec::new()
            }
            Err(error) => return Err(error),
        };
        if models.is_empty() || models.iter().any(|model| model.id == PREFERRED) {
            return Ok(Self { model: Some(PREFERRED.to_owned()), source: ModelSource::Preferred });
        }
        let default = models.into_iter().find(|model| model.is_default).map(|model| model.id);
        Ok(Self { model: default, source: ModelSource::CodexDefault })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_choice_wins() {
        let source = |call, session, operator| {
            ModelChoice::named(call, session, operator).map(|choice| choice.source)
        };
        assert_eq!(source(Some("a"), Some("b"), Some("c")), Some(ModelSource::Call));
        assert_eq!(source(None, Some("b"), Some("c")), Some(ModelSource::Session));
        assert_eq!(source(None, None, Some("c")), Some(ModelSource::Operator));
        assert_eq!(source(None, None, None), None);
    }
}
