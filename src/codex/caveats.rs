//! What a version of Codex does not do although it accepts it, in words for the user. Pure.

use super::{record::EnvironmentContext, settings::EffectiveSettings, version::CodexVersion};

/// Whether Codex passes a reasoning effort on to a model.
///
/// Before 0.145 it does so only for models it knows: those it lists, and in older versions those whose name
/// begins in a known way (observed with the published binaries).
pub(super) fn sends_effort(version: CodexVersion, model: &str, is_listed: bool) -> bool {
    let begins = |names: &[&str]| names.iter().any(|name| model.starts_with(name));
    is_listed
        || version >= CodexVersion::EFFORT_FOR_ANY_MODEL
        || version < CodexVersion::KNOWS_BY_LIST && begins(&["gpt-5"])
        || version < CodexVersion::STEER && begins(&["o3", "o4-mini", "codex-"])
}

/// Said where [`sends_effort`] is false.
pub(super) fn effort_not_sent(version: CodexVersion, model: &str) -> String {
    format!(
        "Codex {version} does not know the model `{model}` and sends it no reasoning effort; the model's \
         own default applies."
    )
}

/// Said where a turn runs with something else than what the model was `told` before. `None` if it was told
/// right.
pub(super) fn outdated(
    version: CodexVersion,
    told: &EnvironmentContext,
    effective: &EffectiveSettings,
) -> Option<String> {
    let mut parts = Vec::new();
    let now = &effective.working_directory;
    if let Some(told) = told.directory.as_ref().filter(|told| *told != now) {
        parts.push(format!(
            "the directory `{}` (commands run in `{}`)",
            told.display(),
            now.display()
        ));
    }
    if let (Some(told), Some(now)) = (told.sandbox, effective.sandbox)
        && told != now
    {
        let (told, now) = (told.as_str(), now.as_str());
        parts.push(format!("the sandbox `{told}` (commands have `{now}`)"));
    }
    (!parts.is_empty()).then(|| {
        format!(
            "In a resumed conversation Codex {version} goes on to tell the model what held before: {}. Say \
             it in the prompt if it matters, or begin a new session.",
            parts.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_effort_reaches_the_models_a_version_knows() {
        let sends = |version: &str, model: &str| {
            sends_effort(version.parse().unwrap(), model, model == "listed")
        };
        for (version, model, expected) in [
            ("0.50.0", "gpt-5-codex", true),
            ("0.64.0", "o3", true),
            ("0.72.0", "gpt-mock", false),
            ("0.98.0", "codex-mini-latest", true),
            ("0.110.0", "gpt-5.9", true),
            ("0.110.0", "o3", false),
            ("0.125.0", "gpt-5-codex", false),
            ("0.144.0", "listed", true),
            ("0.145.0", "gpt-mock", true),
        ] {
            assert_eq!(sends(version, model), expected, "{version} {model}");
        }
    }
}
