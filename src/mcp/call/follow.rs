//! Following a call: telling what happens, asking what Codex asks, leaving the turn in time.

use std::{collections::VecDeque, future::pending, sync::Arc, time::Duration};

use jiff::Timestamp;
use rmcp::model::{CallToolRequestParams, CreateTaskResult, InputRequiredResult};
use tokio::time::{Instant, sleep_until};

use super::{Caller, RequestStateCodec, elicit::Elicitation, task::TaskId};
use crate::{
    mcp::error::{ToolError, question_expired},
    session::{
        Answer, AnswerRecord, Approval, ApprovalId, Call, Decision, Detached, Follower, Reply,
        SessionError, SessionName, Sessions, Step, Update,
    },
};

/// How far a call has come when it must be answered.
#[derive(Debug)]
pub(in crate::mcp) struct CallProgress {
    pub(in crate::mcp) state: CallState,
    /// What the caller should know besides.
    pub(in crate::mcp) warnings: Vec<String>,
    /// Whether it is the turn of an earlier call which this one repeats.
    pub(in crate::mcp) joined: bool,
}

/// How far a call has come.
#[derive(Debug)]
pub(in crate::mcp) enum CallState {
    /// Its turn is over.
    Over(Arc<Reply>),
    /// Its turn goes on without it.
    Running(SessionName, Detached),
    /// Its client has to ask the user first.
    InputRequired(Box<InputRequiredResult>),
    /// Its client asks for the answer later.
    Task(Box<CreateTaskResult>),
}

/// Follows a call until it is over, or for as long as its client waits. `wait` is how long the call itself wants to.
pub(in crate::mcp) async fn follow(
    sessions: &Sessions,
    codec: &RequestStateCodec,
    caller: &Caller,
    mut call: Call,
    wait: Option<Duration>,
) -> Result<CallProgress, ToolError> {
    let deadline = caller.timeout(wait).map(|limit| Instant::now() + limit);
    let mut task_at = caller.task_after.map(|after| Instant::now() + after);
    let mut progress = caller.progress();
    let mut asking = Asking::new(sessions, caller);
    let (mut is_left, mut joined) = (false, false);
    let state = loop {
        tokio::select! {
            biased;
            () = progress.due() => progress.tell().await,
            // The turn that the call holds ends, and then so does the call.
            () = caller.leaving.cancelled(), if !is_left && call.is_attached() => {
                is_left = true;
                call.cancel();
            }
            () = left_or_late(caller, deadline), if !is_left => {
                asking.withdraw().await;
                progress.finish().await;
                let session = call.session().clone();
                joined = call.is_joined();
                break match call.detach().await? {
                    Detached::Begun(reply) if reply.is_over() => CallState::Over(reply),
                    how_far => CallState::Running(session, how_far),
                };
            }
            () = at(task_at), if !is_left && call.turn().is_some() => match task_of(&call) {
                Some(id) => {
                    asking.withdraw().await;
                    progress.finish().await;
                    joined = call.is_joined();
                    break become_task(sessions, call, id).await?;
                }
                None => task_at = None,
            },
            step = call.next() => match step {
                Step::Done(outcome) => {
                    asking.withdraw().await;
                    progress.finish().await;
                    joined = call.is_joined();
                    break CallState::Over(outcome?);
                }
                Step::Update(update) => {
                    progress.note(&update);
                    match update {
                        // It is asked through the task.
                        Update::ApprovalAsked(_)
                            if caller.shows_forms && task_at.is_some() && task_of(&call).is_some() =>
                        {
                            task_at = Some(Instant::now());
                        }
                        Update::ApprovalAsked(asked) if caller.shows_forms && caller.is_modern => {
                            match codec.ask(caller, &call, &asked.approval).await {
                                Ok(result) => {
                                    call.detach().await?;
                                    break CallState::InputRequired(Box::new(result));
                                }
                                Err(reason) => asking.decline(&asked.approval, reason).await,
                            }
                        }
                        Update::ApprovalAsked(asked) if caller.shows_forms => {
                            asking.waiting.push_back(asked.approval.clone());
                            asking.ask_next(call.session()).await;
                        }
                        Update::ApprovalSettled(id) => asking.settled(&id, call.session()).await,
                        _ => {}
                    }
                }
            },
            answer = asking.answered() => asking.answer(answer, call.session()).await,
        }
    };
    Ok(CallProgress { state, warnings: asking.warnings, joined })
}

/// Goes on with a call that comes back with an answer.
///
/// # Errors
/// `question_expired` if the approval is not open any more: such an answer changes nothing.
pub(in crate::mcp) async fn resume(
    sessions: &Sessions,
    codec: &RequestStateCodec,
    caller: &Caller,
    request: &CallToolRequestParams,
) -> Result<CallProgress, ToolError> {
    let Some((asked, answer)) = codec.answered(caller, request).await else {
        return Err(question_expired());
    };
    let open = sessions.approvals().await?;
    let is_it = open.iter().any(|open| {
        open.approval.id == asked.approval.id
            && open.session == asked.session
            && asked.turn.is_none_or(|turn| turn == open.turn)
    });
    if !is_it {
        return Err(question_expired());
    }
    sessions.answer(&asked.approval.id, answer).await?;
    let follower =
        Follower { attached: asked.attached, can_ask: caller.can_ask(true), looks_only: false };
    let call = sessions.follow(&asked.session, asked.turn, follower).await?;
    let wait = request.arguments.as_ref().and_then(|given| given.get("waitSeconds")?.as_f64());
    let wait = wait.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    follow(sessions, codec, caller, call, wait).await
}

/// The approvals that one client is asked for, one after the other.
struct Asking<'a> {
    sessions: &'a Sessions,
    caller: &'a Caller,
    asked: Option<Elicitation>,
    waiting: VecDeque<Approval>,
    warnings: Vec<String>,
}

impl<'a> Asking<'a> {
    fn new(sessions: &'a Sessions, caller: &'a Caller) -> Self {
        Self { sessions, caller, asked: None, waiting: VecDeque::new(), warnings: Vec::new() }
    }

    async fn ask_next(&mut self, session: &SessionName) {
        while self.asked.is_none() {
            let Some(approval) = self.waiting.pop_front() else { return };
            match Elicitation::begin(self.caller, session, approval.clone()) {
                Ok(asked) => self.asked = Some(asked),
                Err(reason) => self.decline(&approval, reason).await,
            }
        }
    }

    /// Waits for the answer to what is being asked. Waits for ever if nothing is.
    async fn answered(&mut self) -> AnswerRecord {
        match &mut self.asked {
            Some(asked) => asked.answer().await,
            None => pending().await,
        }
    }

    async fn answer(&mut self, answer: AnswerRecord, session: &SessionName) {
        if let Some(asked) = self.asked.take() {
            self.give(&asked.approval, answer).await;
        }
        self.ask_next(session).await;
    }

    async fn decline(&mut self, approval: &Approval, reason: String) {
        let answer = Answer::plain(Decision::Decline);
        let answer = AnswerRecord { answer, by: self.caller.name(), remark: Some(reason) };
        self.give(approval, answer).await;
    }

    /// Gives an answer. One that comes too late changes nothing, and the caller is told so.
    async fn give(&mut self, approval: &Approval, answer: AnswerRecord) {
        match self.sessions.answer(&approval.id, answer).await {
            Ok(()) => {}
            Err(SessionError::ApprovalExpired { .. }) => self.warnings.push(format!(
                "question_expired: your answer came too late and changed nothing; Codex had asked {}",
                approval.subject.in_short()
            )),
            Err(error) => self.warnings.push(format!("your answer could not be given: {error}")),
        }
    }

    async fn settled(&mut self, id: &ApprovalId, session: &SessionName) {
        self.waiting.retain(|approval| approval.id != *id);
        if self.asked.as_ref().is_some_and(|asked| asked.approval.id == *id) {
            self.withdraw().await;
        }
        self.ask_next(session).await;
    }

    async fn withdraw(&mut self) {
        if let Some(asked) = self.asked.take() {
            asked.withdraw().await;
        }
    }
}

/// The task that a call can become.
fn task_of(call: &Call) -> Option<TaskId> {
    TaskId::new(call.session().clone(), call.turn()?, call.is_joined())
}

/// Makes a task of a call, unless its turn has just ended.
async fn become_task(
    sessions: &Sessions,
    call: Call,
    id: TaskId,
) -> Result<CallState, Arc<SessionError>> {
    let since = match call.detach().await? {
        Detached::Begun(reply) if reply.is_over() => return Ok(CallState::Over(reply)),
        Detached::Begun(reply) => reply.turn.timestamp,
        // Another server runs it.
        _ => sessions
            .inspect(&id.session, id.turn)
            .await?
            .map_or_else(Timestamp::now, |reply| reply.turn.timestamp),
    };
    Ok(CallState::Task(Box::new(id.created(since, sessions.config().session.ttl.0))))
}

/// Waits until nobody waits for the call any more.
async fn left_or_late(caller: &Caller, deadline: Option<Instant>) {
    tokio::select! {
        () = caller.leaving.cancelled() => {}
        () = caller.gives_up() => {}
        () = at(deadline) => {}
    }
}

async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => pending().await,
    }
}
