//! No database contradicts the reference: random operations by several owners, who die, hang, are cancelled at any
//! await and disagree about the time of day, are carried out on a real store and on [`super::ReferenceStore`].
//!
//! `MODEL_CASES` sets how many sequences are tried on each back end.

mod operation;
mod owners;
mod perform;
mod records;
mod world;

use proptest::{prelude::*, test_runner::Config};
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};

use operation::{Step, step};
use owners::{Kind, Owners};

/// How many operations make up a sequence.
const MOST: usize = 60;

/// Any operation may follow any other: which of them can succeed is for the reference to say.
struct AnyOrder;

impl ReferenceStateMachine for AnyOrder {
    type State = ();
    type Transition = Step;

    fn init_state() -> BoxedStrategy<()> {
        Just(()).boxed()
    }

    fn transitions((): &()) -> BoxedStrategy<Step> {
        step().boxed()
    }

    fn apply((): (), _: &Step) {}
}

/// The database of all sequences.
#[cfg(unix)]
fn database(runtime: &tokio::runtime::Runtime) -> String {
    static DATABASE: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    let make = || runtime.block_on(testkit::Postgres::shared().database());
    DATABASE.get_or_init(make).clone()
}

macro_rules! on_a_store {
    ($test:ident, $kind:expr) => {
        struct $test;

        impl StateMachineTest for $test {
            type SystemUnderTest = Owners;
            type Reference = AnyOrder;

            fn init_test((): &()) -> Owners {
                Owners::new($kind)
            }

            fn apply(mut owners: Owners, (): &(), step: Step) -> Owners {
                owners.carry_out(step);
                owners
            }
        }
    };
}

on_a_store!(InSqlite, Kind::Sqlite);

#[cfg(unix)]
on_a_store!(InPostgres, Kind::Postgres);

#[expect(
    clippy::disallowed_methods,
    reason = "no setting of the program: how long this test takes"
)]
fn config(cases: u32) -> Config {
    let asked = std::env::var("MODEL_CASES").ok().and_then(|cases| cases.parse().ok());
    Config { cases: asked.unwrap_or(cases), failure_persistence: None, ..Config::default() }
}

prop_state_machine! {
    #![proptest_config(config(60))]
    #[test]
    fn sqlite_does_what_the_reference_does(sequential 1..MOST => InSqlite);
}

#[cfg(unix)]
prop_state_machine! {
    #![proptest_config(config(20))]
    #[test]
    fn postgres_does_what_the_reference_does(sequential 1..MOST => InPostgres);
}
