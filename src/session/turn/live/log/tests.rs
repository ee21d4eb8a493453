use super::*;
use crate::{
    codex::{FileChange, ItemKey, ItemState},
    session::record::{SessionStatus, examples},
};

/// A log that Codex's reports are put into.
struct World {
    log: Arc<TurnLog>,
}

impl World {
    fn new() -> Self {
        Self { log: Arc::new(TurnLog::new()) }
    }

    fn append(&self, update: Update) {
        self.log.append(update);
    }

    fn says(&self, key: u32, text: &str) {
        let message = TurnItem::Message { text: text.to_owned() };
        self.log.happened(TurnEvent::Item(ItemKey::example(key), message));
    }

    fn goes_on(&self, key: u32, text: &str) {
        self.log.happened(TurnEvent::Text(ItemKey::example(key), text.to_owned()));
    }

    fn runs(&self, key: u32, exit_code: Option<i64>) {
        let state = if exit_code.is_some() { ItemState::Done } else { ItemState::Running };
        let (command, output) = ("ls".to_owned(), String::new());
        let item = TurnItem::Command { command, exit_code, state, output };
        self.log.happened(TurnEvent::Item(ItemKey::example(key), item));
    }

    fn reader(&self, from: ReadFrom) -> LogReader {
        self.log.read(from, false)
    }

    fn recorded(&self) -> TurnRecord {
        let mut turn = examples::turn(1, SessionStatus::Running);
        self.log.record(&mut turn);
        turn
    }
}

fn ended() -> Update {
    Update::Ended(Err(Arc::new(SessionError::Cancelled)))
}

fn asked(id: &str) -> Update {
    Update::ApprovalAsked(Arc::new(examples::approval(id, "s")))
}

fn settled(id: &str) -> Update {
    Update::ApprovalSettled(ApprovalId(id.into()))
}

/// What a reader sees, in short.
fn seen(reader: &mut LogReader) -> Vec<String> {
    std::iter::from_fn(|| reader.try_next())
        .map(|update| match update {
            Update::Item(place, TurnItem::Message { text }) => format!("{place}: {text}"),
            Update::Item(place, TurnItem::Command { exit_code, .. }) => {
                format!("{place} ran {exit_code:?}")
            }
            Update::Text { place, from, text } => format!("{place} from {from}: {text}"),
            Update::Begun(number) => format!("begun {number}"),
            Update::ApprovalAsked(asked) => format!("asked {}", asked.approval.id.0),
            Update::ApprovalSettled(id) => format!("settled {}", id.0),
            Update::Ended(_) => "ended".to_owned(),
            other => format!("{other:?}"),
        })
        .collect()
}

#[test]
fn a_slow_reader_gets_each_item_once_and_everything_that_matters() {
    let world = World::new();
    let (mut quick, mut slow) = (world.reader(ReadFrom::Now), world.reader(ReadFrom::Now));
    let mut quickly = Vec::new();
    let steps: [&dyn Fn(); 8] = [
        &|| world.append(Update::Begun(1)),
        &|| world.says(1, "a"),
        &|| world.goes_on(1, "b"),
        &|| world.append(asked("q")),
        &|| world.runs(2, None),
        &|| world.runs(2, Some(0)),
        &|| world.goes_on(1, "c"),
        &|| world.append(ended()),
    ];
    for step in steps {
        step();
        quickly.extend(seen(&mut quick));
    }
    let quick = [
        "begun 1",
        "0: a",
        "0 from 1: b",
        "asked q",
        "1 ran None",
        "1 ran Some(0)",
        "0 from 2: c",
        "ended",
    ];
    assert_eq!(quickly, quick);
    assert_eq!(seen(&mut slow), ["begun 1", "asked q", "1 ran Some(0)", "0: abc", "ended"]);
}

#[test]
fn a_late_reader_sees_what_is_still_open_and_nothing_that_passed() {
    let world = World::new();
    world.append(Update::Begun(1));
    world.says(1, "gone");
    for update in [asked("q"), settled("q"), asked("r"), Update::Thinking] {
        world.append(update);
    }
    let mut late = world.reader(ReadFrom::Now);
    world.goes_on(1, " new");
    assert_eq!(seen(&mut late), ["begun 1", "settled q", "asked r", "0 from 4:  new"]);
}

#[test]
fn a_reader_that_comes_back_goes_on_where_it_was() {
    let world = World::new();
    world.says(1, "first");
    world.runs(2, Some(1));
    let mut reader = world.reader(ReadFrom::Beginning);
    assert_eq!(seen(&mut reader), ["0: first", "1 ran Some(1)"]);
    let place = reader.place();
    drop(reader);
    world.says(3, "second");
    world.goes_on(3, " half");
    let place: LogPlace = place.to_string().parse().unwrap();
    // The first message has become one of several, which is no news.
    assert_eq!(seen(&mut world.reader(ReadFrom::Place(place)))[1..], ["2: second half"]);
    // To another log of the same turn that is no place.
    let other = World::new();
    other.log.mirror(world.recorded());
    let from = ReadFrom::Place(place);
    assert_eq!(seen(&mut other.reader(from)), ["0: first", "1 ran Some(1)", "2: second half"]);
}

#[test]
fn an_approval_is_settled_once_and_not_shown_afterwards() {
    let world = World::new();
    let mut reader = world.reader(ReadFrom::Beginning);
    for update in [asked("q"), settled("q"), settled("q")] {
        world.append(update);
    }
    assert_eq!(seen(&mut reader), ["settled q"]);
}

#[test]
fn nothing_comes_after_the_end() {
    let world = World::new();
    world.append(ended());
    world.says(1, "late");
    assert_eq!(seen(&mut world.reader(ReadFrom::Beginning)), ["ended"]);
    assert!(world.log.is_ended() && world.recorded().items.is_empty());
}

#[test]
fn the_answer_is_recorded_once_and_every_message_in_its_place() {
    let world = World::new();
    world.says(1, "I look");
    world.runs(2, Some(0));
    world.says(3, "It is");
    let turn = world.recorded();
    assert_eq!(turn.response, "It is");
    let items: Vec<_> = turn.items.iter().map(|recorded| &recorded.item).collect();
    let [TurnItem::Message { text }, TurnItem::Command { .. }, TurnItem::Answer {}] = *items else {
        panic!("{items:?}")
    };
    assert_eq!(text, "I look");
    let through = turn.last_change();
    // What comes later has higher numbers, and what was the answer is written with its text.
    world.says(4, "done");
    let turn = world.recorded();
    let newer: Vec<_> = turn.items.iter().filter(|recorded| recorded.change > through).collect();
    assert!(
        matches!(
            newer.iter().map(|recorded| &recorded.item).collect::<Vec<_>>()[..],
            [TurnItem::Message { .. }, TurnItem::Answer {}]
        ),
        "{newer:?}"
    );
}

#[test]
fn a_turn_with_very_much_of_it_is_bounded_and_keeps_its_answer() {
    let world = World::new();
    let long = "+ a line that is changed\n".repeat(2_000);
    for number in 0..5_000 {
        let item = match number % 3 {
            0 => TurnItem::Message { text: long.clone() },
            1 => TurnItem::Command {
                command: long.clone(),
                exit_code: Some(0),
                state: ItemState::Done,
                output: long.clone(),
            },
            _ => {
                let change =
                    FileChange { path: "a".into(), kind: "add".into(), diff: long.clone() };
                TurnItem::Files { changes: vec![change], state: ItemState::Done }
            }
        };
        world.log.happened(TurnEvent::Item(ItemKey::example(number), item));
    }
    world.says(9_999, &long);
    let turn = world.recorded();
    assert_eq!(turn.response, long);
    let bytes: usize =
        turn.items.iter().map(|item| serde_json::to_string(item).unwrap().len()).sum();
    // What is left out is said each time.
    assert!(bytes < 2_000_000, "{bytes}");
    assert!(turn.warnings()[0].contains("things are left out"), "{:?}", turn.warnings());
}

#[test]
fn the_same_reason_again_is_one_item() {
    let world = World::new();
    for reason in ["one", "two"] {
        world.log.add(TurnItem::Retry { reason: reason.into(), times: 1 });
    }
    for _ in 0..2 {
        world.log.add(TurnItem::Warning { message: "careful".into() });
    }
    let turn = world.recorded();
    let items: Vec<_> = turn.items.into_iter().map(|recorded| recorded.item).collect();
    let warning = TurnItem::Warning { message: "careful".into() };
    assert_eq!(items, [TurnItem::Retry { reason: "two".into(), times: 2 }, warning]);
}

#[tokio::test(start_paused = true)]
async fn one_that_does_not_read_costs_the_others_nothing() {
    let world = World::new();
    let _idle = world.reader(ReadFrom::Beginning);
    let tasks = tokio_util::task::TaskTracker::new();
    let readers: Vec<_> = (0..50)
        .map(|_| {
            let mut reader = world.reader(ReadFrom::Beginning);
            tasks.spawn(async move {
                let mut whole = String::new();
                loop {
                    match reader.next().await {
                        Update::Item(0, TurnItem::Message { text }) => whole = text,
                        Update::Text { place: 0, from, text } => {
                            assert_eq!(from, whole.len());
                            whole += &text;
                        }
                        Update::Ended(_) => return whole,
                        _ => {}
                    }
                }
            })
        })
        .collect();
    let mut expected = String::new();
    for number in 0..2000 {
        let text = format!("{number},");
        if number == 0 {
            world.says(1, &text);
        } else {
            world.goes_on(1, &text);
        }
        expected += &text;
        if number % 100 == 0 {
            tokio::task::yield_now().await;
        }
    }
    world.append(ended());
    for reader in readers {
        assert_eq!(reader.await.unwrap(), expected);
    }
}
