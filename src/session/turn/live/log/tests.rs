use super::*;
use crate::session::record::examples::approval;

fn message(text: &str) -> Update {
    Update::Event(TurnEvent::Message(text.to_owned()))
}

fn ended() -> Update {
    Update::Ended(Err(Arc::new(SessionError::Cancelled)))
}

fn asked(id: &str) -> Update {
    Update::ApprovalAsked(Arc::new(approval(id, "s")))
}

fn settled(id: &str) -> Update {
    Update::ApprovalSettled(ApprovalId(id.into()))
}

/// What a reader sees, in short.
fn seen(reader: &mut LogReader) -> Vec<String> {
    std::iter::from_fn(|| reader.try_next())
        .map(|update| match update {
            Update::Event(TurnEvent::Message(text)) => text,
            Update::Begun(number) => format!("begun {number}"),
            Update::ApprovalAsked(asked) => format!("asked {}", asked.approval.id.0),
            Update::ApprovalSettled(id) => format!("settled {}", id.0),
            Update::Ended(_) => "ended".to_owned(),
            other => format!("{other:?}"),
        })
        .collect()
}

#[test]
fn a_slow_reader_gets_the_answer_in_one_piece_and_everything_that_matters() {
    let log = Arc::new(TurnLog::new());
    let (mut quick, mut slow) = (log.read(), log.read());
    let mut quickly = Vec::new();
    for update in [Update::Begun(1), message("a"), message("b"), asked("q"), message("c"), ended()]
    {
        log.append(update);
        quickly.extend(seen(&mut quick));
    }
    assert_eq!(quickly, ["begun 1", "a", "b", "asked q", "c", "ended"]);
    assert_eq!(seen(&mut slow), ["begun 1", "ab", "asked q", "c", "ended"]);
}

#[test]
fn what_passes_is_bounded_and_what_matters_stays() {
    let log = Arc::new(TurnLog::new());
    let mut reader = log.read();
    log.append(Update::Begun(1));
    for number in 0..PASSING * 3 {
        if number % 1000 == 0 {
            log.append(asked(&number.to_string()));
        }
        log.append(message(&"x".repeat(1000)));
        log.append(Update::Event(TurnEvent::Thinking));
    }
    log.append(ended());
    {
        let state = log.lock();
        assert!(state.passing.len() <= PASSING && state.passing_bytes <= PASSING_BYTES);
    }
    let seen = seen(&mut reader);
    assert_eq!(seen.iter().filter(|line| line.starts_with("asked")).count(), 4);
    assert_eq!((seen[0].as_str(), seen.last().unwrap().as_str()), ("begun 1", "ended"));
}

#[test]
fn a_late_reader_sees_what_is_still_open_and_nothing_that_passed() {
    let log = Arc::new(TurnLog::new());
    for update in
        [Update::Begun(1), message("gone"), asked("q"), settled("q"), asked("r"), message("too")]
    {
        log.append(update);
    }
    let mut late = log.read_from_now();
    log.append(message("new"));
    assert_eq!(seen(&mut late), ["begun 1", "settled q", "asked r", "new"]);
}

#[test]
fn an_approval_is_settled_once_and_not_shown_afterwards() {
    let log = Arc::new(TurnLog::new());
    let mut reader = log.read();
    for update in [asked("q"), settled("q"), settled("q")] {
        log.append(update);
    }
    assert_eq!(seen(&mut reader), ["settled q"]);
}

#[test]
fn nothing_comes_after_the_end() {
    let log = Arc::new(TurnLog::new());
    log.append(ended());
    log.append(message("late"));
    assert_eq!(seen(&mut log.read()), ["ended"]);
    assert!(log.is_ended());
}

#[tokio::test(start_paused = true)]
async fn one_that_does_not_read_costs_the_others_nothing() {
    let log = Arc::new(TurnLog::new());
    let _idle = log.read();
    let tasks = tokio_util::task::TaskTracker::new();
    let readers: Vec<_> = (0..50)
        .map(|_| {
            let mut reader = log.read();
            tasks.spawn(async move {
                let mut text = String::new();
                loop {
                    match reader.next().await {
                        Update::Event(TurnEvent::Message(piece)) => text += &piece,
                        Update::Ended(_) => return text,
                        _ => {}
                    }
                }
            })
        })
        .collect();
    for number in 0..2000 {
        log.append(message(&format!("{number},")));
        if number % 100 == 0 {
            tokio::task::yield_now().await;
        }
    }
    log.append(ended());
    for reader in readers {
        let text = reader.await.unwrap();
        assert!(text.ends_with("1998,1999,"), "{}", &text[text.len() - 20..]);
    }
}
