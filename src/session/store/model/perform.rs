//! What an operation does to a store, and what that answers: the same for a database and for the reference.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{
    operation::Operation,
    records::{TTL, approval_id, named, written},
};
use crate::{
    codex::{self, Decision},
    session::{
        SessionName,
        record::{
            AnswerRecord, ApprovalState, SessionRecord, SessionStatus, Stop, TurnDetails,
            TurnRecord, examples,
        },
        store::{Ahead, Claim, Created, Lease, Promise, Renamed, Store, StoreError, Turns},
    },
};

/// How long leases, places and approvals last.
pub(super) const LEASE: std::time::Duration = std::time::Duration::from_secs(30);

/// How many sessions and how many waiting calls are allowed.
const CAP: usize = 3;
const PLACES: usize = 2;

/// What an operation is done with.
#[derive(Debug, Clone)]
pub(super) struct Given {
    /// The wall clock of who does it.
    pub(super) now: Timestamp,
    /// Tells it from all others.
    pub(super) number: u64,
    /// A lease, the session as its owner knows it, and the number of the turn that was given with it.
    pub(super) lease: Option<(Lease, SessionRecord, u32)>,
    /// A turn that was queued.
    pub(super) queued: Option<(SessionName, u32)>,
    /// An approval that was opened.
    pub(super) approval: Option<u64>,
}

/// What an operation answers.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Answer {
    /// What it is to be done with is not there.
    Skipped,
    Nothing,
    Yes(bool),
    Evicted(Vec<SessionName>),
    Conflict,
    Full,
    Ours(AnyLease, Box<SessionRecord>, u32),
    Queued(Option<u32>),
    Adopted(BTreeSet<(SessionName, u32)>),
    CalledOff,
    Held(Ahead),
    Missing,
    LeaseLost,
    Stale,
    Removed(BTreeSet<SessionName>),
}

/// A lease. Each store numbers them in its own way, so as an answer one is like another.
#[derive(Debug, Clone)]
pub(super) struct AnyLease(pub(super) Lease);

impl PartialEq for AnyLease {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// Carries an operation out.
pub(super) async fn perform(
    store: &dyn Store,
    operation: &Operation,
    given: &Given,
) -> Result<Answer, StoreError> {
    let done = match operation {
        Operation::Create { .. }
        | Operation::Claim { .. }
        | Operation::Sweep
        | Operation::Answer(_) => without_a_lease(store, operation, given).await,
        Operation::Enqueue { .. }
        | Operation::Promise(_)
        | Operation::CallOff(_)
        | Operation::Adopt
        | Operation::RenewPlaces(_) => in_the_queue(store, operation, given).await,
        _ => under_a_lease(store, operation, given).await,
    };
    match done {
        None => Ok(Answer::Skipped),
        Some(Err(StoreError::LeaseLost { .. })) => Ok(Answer::LeaseLost),
        Some(Err(StoreError::Stale { .. })) => Ok(Answer::Stale),
        Some(Err(StoreError::CalledOff { .. })) => Ok(Answer::CalledOff),
        Some(done) => done,
    }
}

type Done = Option<Result<Answer, StoreError>>;

async fn without_a_lease(store: &dyn Store, operation: &Operation, given: &Given) -> Done {
    let now = given.now;
    Some(match operation {
        Operation::Create { name, automatic } => {
            let record = SessionRecord::new(named(*name), *automatic, now, TTL);
            store.create(&record, None, CAP, now).await.map(|created| match created {
                Created::Done { evicted } => Answer::Evicted(evicted),
                Created::Conflict => Answer::Conflict,
                Created::Full => Answer::Full,
            })
        }
        Operation::Claim { name, turn } => {
            let turn = turn.and(given.queued.as_ref()).map(|(_, number)| *number);
            match store.claim(&named(*name), turn, LEASE, now).await {
                Ok(Claim::Ours { lease, record, turn }) => {
                    record.map(|record| Answer::Ours(AnyLease(lease), record, turn))
                }
                Ok(Claim::Held(ahead)) => Ok(Answer::Held(ahead)),
                Ok(Claim::Missing) => Ok(Answer::Missing),
                Err(error) => Err(error),
            }
        }
        Operation::Sweep => {
            let removed = store.sweep(now).await;
            removed.map(|removed| Answer::Removed(removed.into_iter().collect()))
        }
        Operation::Answer(_) => {
            let answer = codex::Answer::plain(Decision::Accept);
            let answer = AnswerRecord { answer, by: "a user".to_owned(), remark: None };
            let session = store.answer_approval(&approval_id(given.approval?), &answer).await;
            session.map(|session| Answer::Yes(session.is_some()))
        }
        _ => return None,
    })
}

async fn in_the_queue(store: &dyn Store, operation: &Operation, given: &Given) -> Done {
    let promise = Promise { runner: "any".into(), request: "{}".into() };
    Some(match operation {
        Operation::Enqueue { name, is_promised } => {
            let turn = TurnRecord {
                response: String::new(),
                items: Vec::new(),
                ..examples::turn(0, SessionStatus::Queued)
            };
            let promised = Some(&promise).filter(|_| *is_promised);
            let queued = store.enqueue(&named(*name), &turn, promised, PLACES, LEASE).await;
            queued.map(Answer::Queued)
        }
        Operation::Promise(_) => {
            let (name, number) = given.queued.as_ref()?;
            let details = TurnDetails { not_before: Some(given.now), ..TurnDetails::default() };
            store.promise(name, *number, &promise, &details).await.map(Answer::Yes)
        }
        Operation::CallOff(_) => {
            let (name, number) = given.queued.as_ref()?;
            let details = TurnDetails { stopped: Some(Stop::Cancelled), ..TurnDetails::default() };
            store.call_off(name, *number, &details).await.map(Answer::Yes)
        }
        Operation::Adopt => store.adopt("any", LEASE).await.map(|adopted| {
            let adopted = adopted.into_iter().map(|turn| (turn.session, turn.number));
            Answer::Adopted(adopted.collect())
        }),
        Operation::RenewPlaces(name) => {
            store.renew_places(&named(*name), LEASE).await.map(|()| Answer::Nothing)
        }
        _ => return None,
    })
}

async fn under_a_lease(store: &dyn Store, operation: &Operation, given: &Given) -> Done {
    let (lease, record, turn) = given.lease.as_ref()?;
    let nothing = |()| Answer::Nothing;
    Some(match operation {
        Operation::Renew(_) => store.renew(lease, LEASE).await.map(Answer::Yes),
        Operation::Release(_) => store.release(lease).await.map(nothing),
        Operation::Delete(_) => store.delete(lease).await.map(nothing),
        Operation::Rename { name, .. } => {
            let renamed = SessionRecord { name: named(*name), ..record.clone() };
            store.rename(lease, &renamed, given.now).await.map(|renamed| match renamed {
                Renamed::Done => Answer::Nothing,
                Renamed::Taken => Answer::Conflict,
                Renamed::Wanted => Answer::Yes(false),
            })
        }
        Operation::OpenApproval(_) => {
            let approval = examples::approval(&given.number.to_string(), lease.session.as_str());
            store.open_approval(lease, &approval, LEASE).await.map(nothing)
        }
        Operation::Settle { state, .. } => {
            let states = [ApprovalState::Settled, ApprovalState::Withdrawn, ApprovalState::Expired];
            let id = approval_id(given.approval?);
            store.settle_approval(lease, &id, states[*state]).await.map(Answer::Yes)
        }
        Operation::Commit { write, .. } => {
            let (written, turn, restarts) = written(record, *write, *turn, given.now);
            let turns = match &turn {
                None => Turns::Keep,
                Some(turn) if restarts => Turns::Restart(turn),
                Some(turn) => Turns::Put(turn),
            };
            store.commit(lease, &written, turns).await.map(nothing)
        }
        _ => return None,
    })
}
