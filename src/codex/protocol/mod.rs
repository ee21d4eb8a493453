//! The subset of the app-server protocol we use, hand-written.
//!
//! What we send is exact. What we read is lenient: unknown fields, items and notifications pass, a
//! field that a version lacks is empty, enums are open. Linking Codex's own crates was tried by others
//! and given up; the messages are few.

mod answers;
mod events;
mod items;
mod requests;

pub(crate) use answers::{
    AccountRead, ConfigRead, Empty, Goal, GoalRead, GoalUpdated, Initialized, ModelList, QueueRead,
    RateLimitsOfAccount, RateLimitsRead, RateLimitsUpdated, SandboxPolicy, ThreadHead, ThreadList,
    ThreadOpened, ThreadRead, TurnStarted,
};
pub(crate) use events::{Event, EventKind, PlanStep, ReportedError, TurnEnd};
pub(crate) use items::{Change, Item};
pub(crate) use requests::{
    ConfigReadParams, GoalSetParams, InitializeParams, InjectItemsParams, LoginParams,
    ModelListParams, NoParams, ThreadForkParams, ThreadListParams, ThreadNameParams, ThreadParams,
    ThreadResumeParams, ThreadStartParams, TurnInterruptParams, TurnStartParams, TurnSteerParams,
    UserInput, response_item,
};
