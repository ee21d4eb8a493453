//! Reading what a turn came to into its record.

use tokio::time::Instant;

use super::input::Expected;
use crate::{
    codex::{FailureKind, TurnFailure, TurnOutcome, TurnStatus},
    session::{SessionRecord, SessionStatus, TurnRecord, Work, output, review, sources},
    system::compute,
};

/// Reads the answer of a complete turn as what it was to be, on a thread for that. A review that cannot be read has failed.
pub(super) async fn interpret(
    entry: &mut TurnRecord,
    work: &Work,
    expected: Expected,
) -> SessionStatus {
    let details = &mut entry.details;
    match work {
        Work::Ask { output_schema: Some(schema), .. } => {
            let (schema, answer) = (schema.clone(), entry.response.clone());
            match compute(move || output::parse(&schema, &answer)).await {
                Ok((value, wrong)) => {
                    details.output = value;
                    details.warnings.extend(wrong);
                }
                Err(error) => {
                    details.warnings.push(format!("The answer was not read as JSON: {error}."));
                }
            }
        }
        Work::Ask { .. } => {}
        Work::Search => {
            details.sources = sources::in_text(&entry.response);
        }
        Work::Review { .. } => {
            let answer = entry.response.clone();
            let read = compute(move || {
                let changed = expected.changed.as_ref();
                let read = review::read(&answer, &expected.directory, changed);
                read.map_err(|error| {
                    let cause = std::error::Error::source(&error).map(|it| format!(" ({it})"));
                    format!("{error}{}", cause.unwrap_or_default())
                })
            });
            match read.await.unwrap_or_else(|error| Err(error.to_string())) {
                Ok(review) => {
                    entry.response = review.text;
                    details.verdict = Some(review.verdict);
                    details.findings = Some(review.findings);
                    details.warnings.extend(review.warnings);
                }
                Err(message) => {
                    details.failure = Some(TurnFailure { kind: FailureKind::Incomplete, message });
                    return SessionStatus::Failed;
                }
            }
        }
    }
    SessionStatus::Completed
}

/// Takes the outcome into the record.
pub(super) fn note(
    record: &mut SessionRecord,
    entry: &mut TurnRecord,
    outcome: TurnOutcome,
    started: Instant,
) -> SessionStatus {
    record.usage += outcome.usage.unwrap_or_default();
    let details = &mut entry.details;
    details.usage = outcome.usage;
    details.duration_ms = u64::try_from(started.elapsed().as_millis()).ok();
    match outcome.status {
        TurnStatus::Completed => SessionStatus::Completed,
        TurnStatus::Interrupted => SessionStatus::Interrupted,
        TurnStatus::Failed(failure) => {
            if failure.kind == FailureKind::ModelRefused {
                // Else every later call of the session would fail the same way.
                record.settings.model = None;
            }
            details.failure = Some(failure);
            SessionStatus::Failed
        }
    }
}

/// Whether the turn failed because its model is not to be had.
pub(super) fn has_refused_model(turn: &TurnRecord) -> bool {
    let failure = turn.details.failure.as_ref();
    failure.is_some_and(|failure| failure.kind == FailureKind::ModelRefused)
}
