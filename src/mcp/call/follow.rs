//! Going along with a call: telling what happens, asking what is asked, handing back in time.

use std::{collections::VecDeque, future::pending, time::Duration};

use rmcp::model::{CallToolRequestParams, InputRequiredResult};
use tokio::time::{Instant, sleep_until};

use super::{Caller, Sealer, elicit::Asking};
use crate::{
    codex::{Answer, Decision, Question, QuestionId},
    mcp::error::{ToolError, question_expired},
    session::{Call, HandedBack, Reply, SessionName, Sessions, Step, Update},
};

/// How far a call has come when it must be answered.
#[derive(Debug)]
pub(in crate::mcp) enum Followed {
    /// Its turn is over.
    Over(Box<Reply>),
    /// Its turn goes on without it.
    Running(SessionName, HandedBack),
    /// Its client has to ask the user first.
    Asked(Box<InputRequiredResult>),
}

/// Goes along with a call until it is over, or for as long as its client waits; `wait` is how long the
/// call itself wants to.
pub(in crate::mcp) async fn follow(
    sessions: &Sessions,
    sealer: &Sealer,
    caller: &Caller,
    mut call: Call,
    wait: Option<Duration>,
) -> Result<Followed, ToolError> {
    let deadline = caller.patience(wait).map(|limit| Instant::now() + limit);
    let mut progress = caller.progress();
    let mut questions = Questions { sessions, caller, asking: None, waiting: VecDeque::new() };
    loop {
        tokio::select! {
            biased;
            () = progress.due() => progress.tell().await,
            () = at(deadline) => {
                questions.withdraw().await;
                progress.finish().await;
                let session = call.session().clone();
                return match call.hand_back().await? {
                    HandedBack::Begun(reply) if reply.is_over() => Ok(Followed::Over(reply)),
                    how_far => Ok(Followed::Running(session, how_far)),
                };
            }
            step = call.next() => match step {
                Step::Done(outcome) => {
                    questions.withdraw().await;
                    progress.finish().await;
                    return Ok(Followed::Over(outcome?));
                }
                Step::Update(update) => {
                    progress.note(&update);
                    match update {
                        Update::Asked(question) if caller.is_modern => {
                            match sealer.ask(caller, &call, question.clone()) {
                                Ok(asked) => {
                                    call.hand_back().await?;
                                    return Ok(Followed::Asked(Box::new(asked)));
                                }
                                Err(reason) => {
                                    questions.decline(call.session(), question, reason).await;
                                }
                            }
                        }
                        Update::Asked(question) => {
                            questions.waiting.push_back(question);
                            questions.ask_next(call.session()).await;
                        }
                        Update::Settled(id) => questions.settled(&id, call.session()).await,
                        _ => {}
                    }
                }
            },
            (answer, remark) = questions.answered() => {
                questions.answer(answer, remark, call.session()).await;
            }
        }
    }
}

/// Goes on with a call that comes back with the answer to a question.
pub(in crate::mcp) async fn resume(
    sessions: &Sessions,
    sealer: &Sealer,
    caller: &Caller,
    request: &CallToolRequestParams,
) -> Result<Followed, ToolError> {
    let Some((asked, answer, remark)) = sealer.answered(caller, request) else {
        return Err(question_expired());
    };
    // Before following, or the same question would be asked again. If it is not open any more there is
    // nothing to say: the turn tells what became of it.
    sessions.answer(&asked.session, asked.question.id, answer, remark).await;
    let call = sessions.follow(&asked.session, asked.turn, asked.holds, caller.can_ask()).await?;
    let wait = request.arguments.as_ref().and_then(|given| given.get("waitSeconds")?.as_u64());
    follow(sessions, sealer, caller, call, wait.map(Duration::from_secs)).await
}

/// The questions one client of the older era is asked, one after the other.
struct Questions<'a> {
    sessions: &'a Sessions,
    caller: &'a Caller,
    asking: Option<Asking>,
    waiting: VecDeque<Question>,
}

impl Questions<'_> {
    async fn ask_next(&mut self, session: &SessionName) {
        while self.asking.is_none() {
            let Some(question) = self.waiting.pop_front() else { return };
            match Asking::begin(self.caller, session, question.clone()) {
                Ok(asking) => self.asking = Some(asking),
                Err(reason) => self.decline(session, question, reason).await,
            }
        }
    }

    /// Waits for the answer to the question being asked; for ever if there is none.
    async fn answered(&mut self) -> (Answer, Option<String>) {
        match &mut self.asking {
            Some(asking) => asking.answer().await,
            None => pending().await,
        }
    }

    async fn answer(&mut self, answer: Answer, remark: Option<String>, session: &SessionName) {
        if let Some(asking) = self.asking.take() {
            self.sessions.answer(session, asking.question.id, answer, remark).await;
        }
        self.ask_next(session).await;
    }

    async fn decline(&mut self, session: &SessionName, question: Question, reason: String) {
        let no = Answer::plain(Decision::Decline);
        self.sessions.answer(session, question.id, no, Some(reason)).await;
    }

    async fn settled(&mut self, id: &QuestionId, session: &SessionName) {
        self.waiting.retain(|question| question.id != *id);
        if self.asking.as_ref().is_some_and(|asking| asking.question.id == *id) {
            self.withdraw().await;
        }
        self.ask_next(session).await;
    }

    async fn withdraw(&mut self) {
        if let Some(asking) = self.asking.take() {
            asking.withdraw().await;
        }
    }
}

async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => pending().await,
    }
}
