//! What holds for one server alone.

use super::{
    Claim, LEASE, Pair, SessionStatus, at, begun, claimed, name, names, on_every_store, queued,
    seconds, session, turn,
};
use crate::{
    codex::TurnItem,
    session::{
        ApprovalPolicy,
        record::{EffectiveSettings, SessionRecord, ThreadId, TurnDetails, Usage, examples::item},
        store::{
            CopiedTurns, Created, DailyUsage, Excerpt, Outcomes, Page, Renamed, StoreError, Turns,
        },
    },
};

on_every_store! {
    sessions_are_made_once_and_written_by_revision,
    turns_come_in_order_and_in_parts,
    every_letter_is_kept,
    items_are_written_as_they_change,
    a_restart_leaves_one_turn,
    turns_are_copied_with_a_new_session,
    a_session_is_renamed_with_all_that_is_its,
    tokens_are_counted_once_by_day_and_model,
    only_so_many_can_wait,
    what_expired_is_gone_also_before_it_is_swept,
    a_protected_session_neither_expires_nor_makes_room,
    at_the_cap_what_is_worth_least_goes_first,
    pages_follow_each_other,
    sessions_are_found_by_thread_text_and_directory,
    sessions_are_found_by_status_and_day,
}

async fn sessions_are_made_once_and_written_by_revision(Pair { one: store, .. }: Pair) {
    let done = Created::Done { evicted: vec![] };
    let new = session("a", false, 0);
    assert_eq!(store.create(&new, None, 9, at(0)).await.unwrap(), done);
    assert_eq!(store.create(&new, None, 9, at(0)).await.unwrap(), Created::Conflict);
    let missing = store.claim(&name("b"), None, LEASE, at(0)).await.unwrap();
    assert!(matches!(missing, Claim::Missing));
    let (lease, mut record) = claimed(&*store, "a", 1).await;
    let stale = record.clone();
    record.last_turn = 1;
    record.status = SessionStatus::Running;
    record.settings.model = Some("gpt".into());
    let first = turn(1, SessionStatus::Running);
    store.commit(&lease, &record, Turns::Put(&first)).await.unwrap();
    let read = store.load(&name("a"), at(1)).await.unwrap().unwrap();
    assert_eq!((read.revision, &read.settings), (record.revision + 1, &record.settings));
    let refused = store.commit(&lease, &stale, Turns::Keep).await;
    assert!(matches!(refused, Err(StoreError::Stale { .. })), "{refused:?}");
    store.delete(&lease).await.unwrap();
    assert!(store.load(&name("a"), at(1)).await.unwrap().is_none());
    let gone = store.delete(&lease).await;
    assert!(matches!(gone, Err(StoreError::LeaseLost { .. })), "{gone:?}");
    // One that is made anew does not take an old lease for its own.
    begun(&*store, "a", 1).await;
    let old = store.commit(&lease, &stale, Turns::Keep).await;
    assert!(matches!(old, Err(StoreError::LeaseLost { .. })), "{old:?}");
}

async fn turns_come_in_order_and_in_parts(Pair { one: store, .. }: Pair) {
    let (lease, mut record) = begun(&*store, "a", 0).await;
    for number in 1..=3 {
        for status in [SessionStatus::Running, SessionStatus::Completed] {
            record.last_turn = number;
            record.status = status;
            store.commit(&lease, &record, Turns::Put(&turn(number, status))).await.unwrap();
            record.revision += 1;
        }
    }
    let turns = store.turns(&name("a"), 0, 99, Excerpt::ALL).await.unwrap();
    assert_eq!(turns, [1, 2, 3].map(|number| turn(number, SessionStatus::Completed)));
    assert_eq!(store.turns(&name("a"), 1, 1, Excerpt::ALL).await.unwrap(), turns[1..2]);
    assert!(store.turns(&name("none"), 0, 9, Excerpt::ALL).await.unwrap().is_empty());
    let excerpt = Excerpt { offset: 2, length: 3 };
    let part = &store.turns(&name("a"), 0, 1, excerpt).await.unwrap()[0];
    assert_eq!((part.prompt.as_str(), part.response.as_str()), ("que", "swe"));
}

async fn every_letter_is_kept(Pair { one: store, .. }: Pair) {
    let (lease, record) = begun(&*store, "a", 0).await;
    let mut asked = turn(1, SessionStatus::Completed);
    asked.prompt = "before\0after \u{1F980} ende".to_owned();
    asked.response = "eins\0zwei drei".to_owned();
    asked.details.warnings = vec!["w\0w".to_owned()];
    store.commit(&lease, &record, Turns::Put(&asked)).await.unwrap();
    // What no database has a letter for is shown by another one.
    let read = store.turns(&name("a"), 0, 9, Excerpt::ALL).await.unwrap().remove(0);
    assert_eq!(read.prompt.replace('\0', "\u{2400}"), "before\u{2400}after \u{1F980} ende");
    assert_eq!(read.response.replace('\0', "\u{2400}"), "eins\u{2400}zwei drei");
    assert_eq!(read.details.warnings, asked.details.warnings);
    let part = Excerpt { offset: 5, length: 4 };
    let part = store.turns(&name("a"), 0, 9, part).await.unwrap().remove(0);
    assert_eq!((part.prompt.as_str(), part.response.as_str()), ("befo", "zwei"));
    for search in ["drei", "e\0a"] {
        let page = Page { search: Some(search.to_owned()), ..Page::first(9) };
        assert_eq!(store.list(&page, at(1)).await.unwrap().sessions.len(), 1, "{search:?}");
    }
}

async fn items_are_written_as_they_change(Pair { one: store, .. }: Pair) {
    let (lease, mut record) = begun(&*store, "a", 0).await;
    let message = |text: &str| TurnItem::Message { text: text.to_owned() };
    let mut running = turn(1, SessionStatus::Running);
    let states = [
        vec![item(0, 1, TurnItem::Answer {})],
        // What was the answer has a text of its own now.
        vec![item(0, 2, message("one\0")), item(1, 3, TurnItem::Answer {})],
        vec![
            item(0, 2, message("one\0")),
            item(1, 5, message("two")),
            item(2, 6, TurnItem::Answer {}),
        ],
    ];
    for state in states {
        running.items = state;
        store.commit(&lease, &record, Turns::Put(&running)).await.unwrap();
        record.revision += 1;
        let read = store.turn(&name("a"), 1, 0).await.unwrap();
        assert_eq!(read.as_ref(), Some(&running));
    }
    let later = store.turn(&name("a"), 1, 3).await.unwrap().unwrap();
    assert_eq!(later.items, running.items[1..]);
    assert!(store.turn(&name("a"), 1, 6).await.unwrap().unwrap().items.is_empty());
    assert_eq!(store.turn(&name("a"), 2, 0).await.unwrap(), None);
    // Under another name as well.
    let renamed = SessionRecord { name: name("b"), ..record };
    store.rename(&lease, &renamed, at(1)).await.unwrap();
    assert_eq!(store.turn(&name("b"), 1, 0).await.unwrap(), Some(running));
}

async fn a_restart_leaves_one_turn(Pair { one: store, .. }: Pair) {
    let (lease, mut record) = begun(&*store, "a", 0).await;
    for number in 1..=2 {
        store
            .commit(&lease, &record, Turns::Put(&turn(number, SessionStatus::Completed)))
            .await
            .unwrap();
        record.revision += 1;
    }
    let first = turn(3, SessionStatus::Running);
    store.commit(&lease, &record, Turns::Restart(&first)).await.unwrap();
    assert_eq!(store.turns(&name("a"), 0, 9, Excerpt::ALL).await.unwrap(), [first]);
}

async fn turns_are_copied_with_a_new_session(Pair { one: store, .. }: Pair) {
    let (lease, mut record) = begun(&*store, "a", 0).await;
    for number in 1..=3 {
        store
            .commit(&lease, &record, Turns::Put(&turn(number, SessionStatus::Completed)))
            .await
            .unwrap();
        record.revision += 1;
    }
    let from = name("a");
    let copy = Some(CopiedTurns { from: &from, through: 2 });
    store.create(&session("b", false, 0), copy, 9, at(0)).await.unwrap();
    let copied = store.turns(&name("b"), 0, 9, Excerpt::ALL).await.unwrap();
    assert_eq!(copied, [1, 2].map(|number| turn(number, SessionStatus::Completed)));
    assert_eq!(store.turns(&from, 0, 9, Excerpt::ALL).await.unwrap().len(), 3);
}

async fn a_session_is_renamed_with_all_that_is_its(Pair { one: store, two, .. }: Pair) {
    let (lease, mut record) = begun(&*store, "a", 0).await;
    let ended = turn(1, SessionStatus::Completed);
    record.status = SessionStatus::Completed;
    store.commit(&lease, &record, Turns::Put(&ended)).await.unwrap();
    record.revision += 1;
    store.create(&session("b", false, 0), None, 9, at(0)).await.unwrap();
    let old = record.clone();
    record.details.title = Some("T".into());
    record.name = name("b");
    assert_eq!(store.rename(&lease, &record, at(1)).await.unwrap(), Renamed::Taken);
    record.name = name("c");
    let waiting = queued(&*two, "a", 9, LEASE, None).await.unwrap();
    assert_eq!(store.rename(&lease, &record, at(1)).await.unwrap(), Renamed::Wanted);
    assert!(two.call_off(&name("a"), waiting, &TurnDetails::default()).await.unwrap());
    let stale = store.rename(&lease, &SessionRecord { revision: 0, ..record.clone() }, at(1)).await;
    assert!(matches!(stale, Err(StoreError::Stale { .. })), "{stale:?}");
    assert_eq!(store.rename(&lease, &record, at(1)).await.unwrap(), Renamed::Done);
    let renamed = store.load(&name("c"), at(1)).await.unwrap().unwrap();
    assert_eq!(renamed, SessionRecord { revision: record.revision + 1, ..record.clone() });
    let turns = store.turns(&name("c"), 0, 9, Excerpt::ALL).await.unwrap();
    assert_eq!((&turns[0], turns[1].status), (&ended, SessionStatus::Cancelled));
    assert!(store.load(&name("a"), at(1)).await.unwrap().is_none());
    // The lease has ended with the old name, also if there is a session of that name again.
    let lost = store.rename(&lease, &record, at(1)).await;
    assert!(matches!(lost, Err(StoreError::LeaseLost { .. })), "{lost:?}");
    begun(&*store, "a", 1).await;
    let lost = store.commit(&lease, &old, Turns::Keep).await;
    assert!(matches!(lost, Err(StoreError::LeaseLost { .. })), "{lost:?}");
    claimed(&*two, "c", 1).await;
}

async fn tokens_are_counted_once_by_day_and_model(Pair { one: store, .. }: Pair) {
    let (lease, mut record) = begun(&*store, "a", 0).await;
    let mut put = async |number: u32, status: SessionStatus, model: Option<&str>, tokens: u64| {
        let mut turn = turn(number, status);
        turn.timestamp = at(i64::from(number) * 86_400);
        turn.details.duration_ms = Some(tokens * 10);
        turn.details.usage =
            Some(Usage { input_tokens: tokens, total_tokens: tokens, ..Usage::default() });
        turn.details.effective = model.map(|model| EffectiveSettings {
            model: Some(model.into()),
            reasoning_effort: None,
            sandbox: None,
            approval_policy: ApprovalPolicy::Never,
            working_directory: "/".into(),
            writable_roots: Vec::new(),
            network: None,
            approvals_reviewer: None,
        });
        record.last_turn = number;
        record.status = status;
        store.commit(&lease, &record, Turns::Put(&turn)).await.unwrap();
        record.revision += 1;
    };
    let (running, completed) = (SessionStatus::Running, SessionStatus::Completed);
    for (number, model, tokens) in [(1, Some("m"), 5), (2, Some("m"), 7), (3, None, 1)] {
        put(number, running, None, 0).await;
        put(number, running, model, tokens - 1).await;
        put(number, completed, model, tokens).await;
        // Written once more.
        put(number, completed, model, tokens).await;
    }
    put(4, running, Some("m"), 2).await;
    let since = || "1970-01-03".parse().unwrap();
    let by_day = async || {
        let days = store.usage_by_day(since()).await.unwrap();
        let short =
            |day: DailyUsage| (day.day.to_string(), day.model, day.turns, day.usage.input_tokens);
        days.into_iter().map(short).collect::<Vec<_>>()
    };
    let third = ("1970-01-04".to_owned(), String::new(), 1, 1);
    let second = ("1970-01-03".to_owned(), "m".to_owned(), 1, 7);
    assert_eq!(by_day().await, [third.clone(), second.clone()]);
    // A turn that its server left running counts as far as it is known, and a copy of turns counts nothing.
    claimed(&*store, "a", 1).await;
    let from = name("a");
    let copy = Some(CopiedTurns { from: &from, through: 4 });
    store.create(&session("b", false, 0), copy, 9, at(0)).await.unwrap();
    let fourth = ("1970-01-05".to_owned(), "m".to_owned(), 1, 2);
    assert_eq!(by_day().await, [fourth, third, second]);
    let days = store.usage_by_day(since()).await.unwrap();
    let outcomes: Vec<Outcomes> = days.iter().map(|day| day.outcomes).collect();
    let taken =
        |duration_ms| Outcomes { duration_ms, longest_ms: duration_ms, ..Outcomes::default() };
    let interrupted = Outcomes { interrupted: 1, ..taken(20) };
    assert_eq!(outcomes, [interrupted, taken(10), taken(70)]);
    let of_tenants = store.usage_of_tenants(since()).await.unwrap();
    let of_tenants: Vec<_> = of_tenants.into_iter().map(|(_, day)| day).collect();
    assert!(of_tenants.is_empty() || of_tenants == days, "{of_tenants:?}");
}

async fn only_so_many_can_wait(Pair { one: store, two, clock, .. }: Pair) {
    begun(&*store, "a", 0).await;
    let a = name("a");
    let place = || queued(&*two, "a", 2, seconds(99), None);
    // The first turn has a number already, though it has not begun.
    assert_eq!((place().await, place().await, place().await), (Some(2), Some(3), None));
    assert!(two.call_off(&a, 2, &TurnDetails::default()).await.unwrap());
    assert!(!two.call_off(&a, 2, &TurnDetails::default()).await.unwrap());
    assert_eq!(place().await, Some(4));
    // Places are kept by renewal, and run out without.
    clock.advance(seconds(60));
    two.renew_places(&a, seconds(99)).await.unwrap();
    clock.advance(seconds(60));
    assert_eq!(place().await, None);
    clock.advance(seconds(60));
    assert!(place().await.is_some());
    assert!(queued(&*two, "none", 9, LEASE, None).await.is_none());
}

async fn what_expired_is_gone_also_before_it_is_swept(Pair { one: store, .. }: Pair) {
    let (lease, record) = begun(&*store, "a", 0).await;
    let ended = turn(1, SessionStatus::Completed);
    store.commit(&lease, &record, Turns::Put(&ended)).await.unwrap();
    assert!(store.load(&name("a"), at(59)).await.unwrap().is_some());
    assert!(store.load(&name("a"), at(60)).await.unwrap().is_none());
    assert!(names(&*store, 60).await.is_empty());
    let missing = store.claim(&name("a"), None, LEASE, at(60)).await.unwrap();
    assert!(matches!(missing, Claim::Missing));
    assert_eq!(store.sweep(at(60)).await.unwrap(), [name("a")]);
    assert!(store.turns(&name("a"), 0, 9, Excerpt::ALL).await.unwrap().is_empty());
}

async fn a_protected_session_neither_expires_nor_makes_room(
    Pair { one: store, two, clock, .. }: Pair,
) {
    // Protected from its claim on: its thread may still be opening.
    let (lease, mut record) = begun(&*store, "a", 0).await;
    let full = two.create(&session("b", false, 1), None, 1, at(1)).await.unwrap();
    assert_eq!(full, Created::Full);
    assert!(two.sweep(at(100)).await.unwrap().is_empty());
    assert!(two.load(&name("a"), at(100)).await.unwrap().is_some());
    record.status = SessionStatus::Running;
    let running = turn(1, SessionStatus::Running);
    store.commit(&lease, &record, Turns::Put(&running)).await.unwrap();
    record.revision += 1;
    assert!(two.sweep(at(100)).await.unwrap().is_empty());
    // At rest it is not, although its lease is in force.
    record.status = SessionStatus::Completed;
    let ended = turn(1, SessionStatus::Completed);
    store.commit(&lease, &record, Turns::Put(&ended)).await.unwrap();
    let made = two.create(&session("b", false, 1), None, 1, at(1)).await.unwrap();
    assert_eq!(made, Created::Done { evicted: vec![name("a")] });
    // Nor by a lease that has run out.
    claimed(&*store, "b", 1).await;
    clock.advance(LEASE);
    assert_eq!(two.sweep(at(100)).await.unwrap(), [name("b")]);
}

async fn at_the_cap_what_is_worth_least_goes_first(Pair { one: store, .. }: Pair) {
    for (text, automatic, second) in
        [("old", false, 100), ("named", false, 170), ("auto", true, 172), ("young", false, 175)]
    {
        store.create(&session(text, automatic, second), None, 9, at(second)).await.unwrap();
    }
    let evicted =
        |names: &[&str]| Created::Done { evicted: names.iter().map(|n| name(n)).collect() };
    let create = |text: &'static str| {
        let store = &store;
        async move { store.create(&session(text, false, 180), None, 4, at(180)).await.unwrap() }
    };
    assert_eq!(create("c1").await, evicted(&[]));
    assert_eq!(create("c2").await, evicted(&["auto"]));
    assert_eq!(create("c3").await, evicted(&["named"]));
}

async fn pages_follow_each_other(Pair { one: store, .. }: Pair) {
    for (text, second) in [("c1", 5), ("c2", 5), ("c3", 5), ("young", 2)] {
        store.create(&session(text, false, second), None, 9, at(second)).await.unwrap();
    }
    assert_eq!(names(&*store, 9).await, ["c1", "c2", "c3", "young"]);
    let first = store.list(&Page::first(3), at(9)).await.unwrap();
    assert_eq!(first.sessions.len(), 3);
    let rest = Page { after: first.next, ..Page::first(3) };
    let rest = store.list(&rest, at(9)).await.unwrap();
    assert_eq!((rest.sessions[0].name.as_str(), rest.next), ("young", None));
}

async fn sessions_are_found_by_thread_text_and_directory(Pair { one: store, .. }: Pair) {
    for (text, thread, directory, prompt) in
        [("a", "t1", "/w/a", "Grüße AUS Köln"), ("b", "t2", "/w/b", "100% of it_")]
    {
        let (lease, mut record) = begun(&*store, text, 0).await;
        record.thread_id = Some(ThreadId(thread.into()));
        record.settings.working_directory = Some(directory.into());
        let mut asked = turn(1, SessionStatus::Completed);
        asked.prompt = prompt.to_owned();
        asked.response = format!("Siehe src/{text}.rs, Zeile 7: gefunden!");
        store.commit(&lease, &record, Turns::Put(&asked)).await.unwrap();
    }
    let of = |thread: &str| ThreadId(thread.into());
    assert_eq!(store.of_thread(&of("t2"), at(1)).await.unwrap(), Some(name("b")));
    assert_eq!(store.of_thread(&of("t2"), at(99)).await.unwrap(), None);
    assert_eq!(store.of_thread(&of("t3"), at(1)).await.unwrap(), None);
    for (search, found) in [
        ("grüße", "a"),
        ("GRÜSSE", ""),
        ("KÖLN", "a"),
        ("aus k", "a"),
        ("100%", "b"),
        ("T_", "b"),
        ("100_", "b"),
        ("gefund", "a,b"),
        ("zeile gefunden köln", "a"),
        ("zeile nirgends", ""),
        ("a.rs", "a,b"),
        ("efunden", ""),
        ("हिन्दी ที่นี่ aⒶb", ""),
        ("\" OR ' : * & |", ""),
        ("b", "b"),
    ] {
        let page = Page { search: Some(search.to_owned()), ..Page::first(9) };
        let listed = store.list(&page, at(1)).await.unwrap().sessions;
        let listed: Vec<_> = listed.iter().map(|session| session.name.as_str()).collect();
        assert_eq!(listed.join(","), found, "{search}");
    }
    let page = Page { directory: Some("/w/a".into()), ..Page::first(9) };
    let listed = store.list(&page, at(1)).await.unwrap().sessions;
    assert_eq!((listed.len(), listed[0].name.as_str()), (1, "a"));
}

async fn sessions_are_found_by_status_and_day(Pair { one: store, .. }: Pair) {
    for (text, second) in [("a", 1), ("b", 2), ("c", 3)] {
        let (lease, mut record) = begun(&*store, text, second).await;
        record.last_accessed_at = at(second);
        if text == "b" {
            record.status = SessionStatus::Failed;
        }
        store.commit(&lease, &record, Turns::Keep).await.unwrap();
    }
    let found = async |page: Page| {
        let listed = store.list(&page, at(3)).await.unwrap();
        let names = listed.sessions.iter().map(|session| session.name.to_string());
        (names.collect::<Vec<_>>().join(","), listed.next)
    };
    let all = || Page::first(9);
    let failed = Page { status: Some(SessionStatus::Failed), ..all() };
    assert_eq!(found(failed).await.0, "b");
    assert_eq!(found(Page { since: Some(at(2)), ..all() }).await.0, "c,b");
    assert_eq!(found(Page { before: Some(at(2)), ..all() }).await.0, "a");
    let day = Page { since: Some(at(1)), before: Some(at(3)), ..Page::first(1) };
    let (first, next) = found(day.clone()).await;
    assert_eq!((first.as_str(), next.is_some()), ("b", true));
    assert_eq!(found(Page { after: next, ..day }).await, ("a".to_owned(), None));
}
