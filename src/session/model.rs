//! Which model a turn asks for, and why.

use serde::{Deserialize, Serialize};

use crate::codex::{Codex, CodexError, Defaults};

/// What the npm package takes when nobody chooses. Only where Codex offers it or cannot say.
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
    /// Nobody did; it is this server's preference and Codex offers it.
    Preferred,
    /// Nobody did; Codex chose.
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

/// A model to ask for. None leaves it to Codex, which happens only where nobody can name one: a
/// resumed thread would else keep whatever it ran with last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ModelChoice {
    pub(super) model: Option<String>,
    pub(super) source: ModelSource,
}

impl ModelChoice {
    /// The choice if anybody made one: call, then session, then operator.
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

    /// The choice if nobody made one.
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
