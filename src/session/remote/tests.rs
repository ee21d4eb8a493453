//! Paused time; another owner of the same memory store plays the other server.

use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use super::*;
use crate::{
    codex::Codex,
    session::{
        SessionConfig, SessionRecord,
        record::examples::turn,
        store::{
            Claim, Coordination, Inbox, LazyStore, Lease, MessageId, ReferenceStore, SessionStore,
            StoreClock, Turns,
        },
        turn::{Call, Follower, ReadFrom, Step},
    },
};

const LEASE: Duration = Duration::from_secs(30);

/// Our server, and another one that runs turn 1 of session `s`.
struct Servers {
    ours: Arc<Shared>,
    theirs: ReferenceStore,
    lease: Lease,
    record: SessionRecord,
}

fn name() -> SessionName {
    "s".parse().unwrap()
}

fn shared(store: ReferenceStore) -> Arc<Shared> {
    let tasks = TaskTracker::new();
    let (codex, _) = Codex::scripted(&tasks);
    let config = SessionConfig::example();
    Arc::new(Shared::new(codex, LazyStore::of(Arc::new(store)), config, tasks))
}

impl Servers {
    async fn new() -> Self {
        let ours = ReferenceStore::new(StoreClock::manual());
        let theirs = ours.another();
        let now = Timestamp::now();
        let record = SessionRecord::new(name(), false, now, Duration::from_hours(24));
        theirs.create(&record, None, 9, now).await.unwrap();
        let claim = theirs.claim(&name(), None, LEASE, now).await.unwrap();
        let Claim::Ours { lease, record, .. } = claim else { panic!("{claim:?}") };
        let mut servers = Self { ours: shared(ours), theirs, lease, record: *record.unwrap() };
        servers.record.last_turn = 1;
        servers.commit(SessionStatus::Running).await;
        servers
    }

    async fn commit(&mut self, status: SessionStatus) {
        self.record.status = status;
        let turn = turn(1, status);
        self.theirs.commit(&self.lease, &self.record, Turns::Put(&turn)).await.unwrap();
        self.record.revision += 1;
    }

    async fn inbox(&self) -> Inbox {
        self.theirs.inbox(&self.lease, MessageId(0)).await.unwrap()
    }

    /// Waits for a message and takes it.
    async fn take(&self) -> MessageId {
        loop {
            if let Some((id, _)) = self.inbox().await.messages.pop() {
                assert!(self.theirs.take(id).await.unwrap());
                return id;
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Starts to steer the turn.
    fn steer(&self) -> JoinHandle<Result<ControlOutcome, SessionError>> {
        let ours = Arc::clone(&self.ours);
        let steer = async move { ours.steer_remote(&name(), "more".to_owned()).await };
        self.ours.tasks.spawn(steer)
    }

    fn follow(&self) -> Call {
        let follower = Follower { attached: false, can_ask: false, looks_only: false };
        let live = self.ours.observed_turn(&name(), 1, follower);
        Call::new(name(), live, follower, None, ReadFrom::Beginning)
    }
}

async fn end_of(mut call: Call) -> Reply {
    loop {
        if let Step::Done(ended) = call.next().await {
            return (*ended.unwrap()).clone();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_turn_is_followed_to_its_recorded_end() {
    let mut servers = Servers::new().await;
    let followed = servers.ours.tasks.spawn(end_of(servers.follow()));
    tokio::time::sleep(Duration::from_mins(5)).await;
    assert!(!followed.is_finished());
    servers.commit(SessionStatus::Completed).await;
    assert_eq!(followed.await.unwrap().turn, turn(1, SessionStatus::Completed));
}

#[tokio::test(start_paused = true)]
async fn however_many_follow_a_turn_the_store_is_asked_once() {
    let mut servers = Servers::new().await;
    let follower = Follower { attached: false, can_ask: false, looks_only: false };
    let first = servers.ours.observed_turn(&name(), 1, follower);
    let again = servers.ours.observed_turn(&name(), 1, follower);
    assert!(Arc::ptr_eq(&first, &again));
    // One that is attached can end the turn, and an onlooker does not take its answer.
    for other in
        [Follower { attached: true, ..follower }, Follower { looks_only: true, ..follower }]
    {
        assert!(!Arc::ptr_eq(&first, &servers.ours.observed_turn(&name(), 1, other)));
    }
    // Those who come when the others have gone are told as well.
    drop((first, again));
    tokio::time::sleep(2 * POLL).await;
    let calls: Vec<_> = (0..20).map(|_| servers.follow()).collect();
    let ends: Vec<_> =
        calls.into_iter().map(|call| servers.ours.tasks.spawn(end_of(call))).collect();
    servers.commit(SessionStatus::Completed).await;
    for end in ends {
        assert_eq!(end.await.unwrap().turn, turn(1, SessionStatus::Completed));
    }
}

#[tokio::test(start_paused = true)]
async fn a_turn_of_a_dead_server_is_over() {
    let servers = Servers::new().await;
    let followed = servers.ours.tasks.spawn(end_of(servers.follow()));
    tokio::time::sleep(POLL).await;
    drop(servers.theirs);
    assert_eq!(followed.await.unwrap().turn.status, SessionStatus::Interrupted);
}

#[tokio::test(start_paused = true)]
async fn what_nobody_takes_is_taken_back_and_never_said() {
    let servers = Servers::new().await;
    let outcome = servers.ours.steer_remote(&name(), "more".to_owned()).await.unwrap();
    assert!(matches!(outcome, ControlOutcome::Refused(_)), "{outcome:?}");
    assert_eq!(servers.inbox().await.messages, []);
}

#[tokio::test(start_paused = true)]
async fn what_is_said_is_reported() {
    let servers = Servers::new().await;
    let steered = servers.steer();
    let id = servers.take().await;
    // A slow Codex.
    tokio::time::sleep(Duration::from_secs(15)).await;
    servers.theirs.report(id, &ControlOutcome::Done).await.unwrap();
    assert_eq!(steered.await.unwrap().unwrap(), ControlOutcome::Done);
}

#[tokio::test(start_paused = true)]
async fn what_was_taken_without_a_word_may_have_been_said() {
    let servers = Servers::new().await;
    let steered = servers.steer();
    servers.take().await;
    let outcome = steered.await.unwrap().unwrap();
    assert!(matches!(outcome, ControlOutcome::Unconfirmed(_)), "{outcome:?}");
}

#[tokio::test(start_paused = true)]
async fn an_interrupt_that_nobody_hears_hits_no_later_turn() {
    let servers = Servers::new().await;
    let error = servers.ours.interrupt_remote(&name()).await.unwrap_err();
    assert!(matches!(error, SessionError::Busy { .. }), "{error:?}");
    assert_eq!(servers.inbox().await.messages, []);
}
