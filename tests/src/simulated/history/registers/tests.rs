use super::*;

fn key(name: &str) -> Register {
    Register::object("b", name)
}

fn time(called: u64, answered: u64) -> Time {
    Time {
        client: 1,
        called,
        answered,
    }
}

fn thing(label: u64, etag: &str) -> Thing {
    Thing {
        label: Some(label),
        etag: etag.to_owned(),
        size: 1,
    }
}

/// Write number `label` of something called `etag`.
fn write(times: (u64, u64), label: u64, etag: &str, ended: Ended) -> Event {
    Event {
        time: time(times.0, times.1),
        what: What::Write {
            id: label,
            made: Made::Thing(thing(label, etag)),
            only_if: None,
            ended,
            upload: None,
        },
    }
}

fn put(times: (u64, u64), label: u64, etag: &str) -> Event {
    write(times, label, etag, Ended::Done)
}

fn only_if(mut event: Event, sight: Sight) -> Event {
    match &mut event.what {
        What::Write { only_if, .. } | What::Remove { only_if, .. } => *only_if = Some(sight),
        What::Read(_) => {}
    }
    event
}

fn remove(times: (u64, u64)) -> Event {
    Event {
        time: time(times.0, times.1),
        what: What::Remove {
            only_if: None,
            ended: Ended::Done,
        },
    }
}

fn copy(times: (u64, u64), id: u64, source: &str, label: Option<u64>, etag: Option<&str>) -> Event {
    let ended = match etag {
        Some(_) => Ended::Done,
        None => Ended::Unknown,
    };
    Event {
        time: time(times.0, times.1),
        what: What::Write {
            id,
            made: Made::Copy {
                source: key(source),
                label,
                etag: etag.map(str::to_owned),
            },
            only_if: None,
            ended,
            upload: None,
        },
    }
}

fn read(times: (u64, u64), sight: Sight) -> Event {
    Event {
        time: time(times.0, times.1),
        what: What::Read(sight),
    }
}

fn saw(times: (u64, u64), label: u64, etag: &str) -> Event {
    let like = Like {
        label: Some(label),
        size: Some(1),
        ..Like::etag(etag)
    };
    read(times, Sight::Present(like))
}

fn judge(registers: &[(&str, &[Event])]) -> Vec<String> {
    let registers = registers
        .iter()
        .map(|(name, events)| (key(name), events.to_vec()))
        .collect();
    violations(&registers)
}

fn explained(registers: &[(&str, &[Event])]) {
    assert_eq!(judge(registers), Vec::<String>::new());
}

fn refused(registers: &[(&str, &[Event])], register: &str) {
    let found = judge(registers);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(
        found[0].starts_with(&format!("b/{register}: ")),
        "{found:?}"
    );
}

#[test]
fn a_stale_read_is_found_and_its_key_and_events_are_named() {
    let events = [
        put((1, 2), 1, "e"),
        put((3, 4), 2, "f"),
        saw((5, 6), 2, "f"),
    ];
    explained(&[("k", &events)]);
    let events = [
        put((1, 2), 1, "e"),
        put((3, 4), 2, "f"),
        saw((5, 6), 1, "e"),
    ];
    refused(&[("k", &events)], "k");
    let text = judge(&[("k", &events)]).remove(0);
    assert!(text.contains("client 1 [5..6] saw Present"), "{text}");
    assert!(text.contains("wrote 2: "), "{text}");
}

#[test]
fn a_label_with_the_bytes_of_another_is_what_nobody_wrote() {
    let events = [put((1, 2), 1, "e"), saw((3, 4), 1, "f")];
    refused(&[("k", &events)], "k");
}

#[test]
fn a_listing_sees_an_etag_that_several_writes_share() {
    let listed = |at, etag| read(at, Sight::Present(Like::etag(etag)));
    let writes = [
        put((1, 2), 1, "e"),
        put((3, 4), 2, "f"),
        put((5, 6), 3, "e"),
    ];
    let with = |event: Event| [writes.to_vec(), vec![event]].concat();
    explained(&[("k", &with(listed((7, 8), "e")))]);
    refused(&[("k", &with(listed((7, 8), "f")))], "k");
    refused(&[("k", &with(read((7, 8), Sight::Absent)))], "k");
    let other = Sight::Present(Like::not_etag("e"));
    refused(&[("k", &with(read((7, 8), other)))], "k");
}

#[test]
fn conditions_are_on_whatever_has_the_etag() {
    let same = Sight::Present(Like::etag("e"));
    let swap = |at| only_if(put(at, 3, "g"), same.clone());
    let before = [put((1, 2), 1, "e"), put((3, 4), 2, "e")];
    let with = |event: Event| [before.to_vec(), vec![event]].concat();
    explained(&[("k", &with(swap((5, 6))))]);
    let changed = [before.to_vec(), vec![put((5, 6), 9, "f"), swap((7, 8))]].concat();
    refused(&[("k", &changed)], "k");
    let create = only_if(put((5, 6), 3, "g"), Sight::Absent);
    refused(&[("k", &with(create.clone()))], "k");
    let gone = [before.to_vec(), vec![remove((5, 6))]].concat();
    let create = only_if(put((7, 8), 3, "g"), Sight::Absent);
    explained(&[("k", &[gone, vec![create]].concat())]);
}

#[test]
fn an_acknowledgement_may_say_that_nothing_had_to_be_done() {
    let mut create = only_if(put((3, 4), 2, ""), Sight::Absent);
    if let What::Write { ended, .. } = &mut create.what {
        *ended = Ended::IfMet;
    }
    let there = [put((1, 2), 1, ""), create.clone(), saw((5, 6), 1, "")];
    explained(&[("k", &there)]);
    explained(&[("k", &[create.clone(), saw((5, 6), 2, "")])]);
    refused(&[("k", &[create, read((5, 6), Sight::Absent)])], "k");
}

#[test]
fn a_copy_holds_what_its_source_held_meanwhile() {
    let source = [put((1, 2), 1, "e"), put((3, 4), 2, "f")];
    let copied = |etag| copy((5, 6), 3, "s", Some(3), Some(etag));
    explained(&[("s", &source), ("t", &[copied("f"), saw((7, 8), 3, "f")])]);
    // It says that it copied what was overwritten before it was asked.
    refused(
        &[("s", &source), ("t", &[copied("e"), saw((7, 8), 3, "e")])],
        "s",
    );
    // It says the one and did the other.
    refused(
        &[("s", &source), ("t", &[copied("f"), saw((7, 8), 3, "e")])],
        "t",
    );
    let racing = [put((1, 2), 1, "e"), put((4, 9), 2, "f")];
    explained(&[("s", &racing), ("t", &[copied("e"), saw((7, 8), 3, "e")])]);
}

#[test]
fn a_copy_without_an_answer_is_held_to_its_source_once_it_is_seen() {
    let source = [
        put((1, 2), 1, "e"),
        put((3, 4), 2, "f"),
        put((8, 9), 5, "g"),
    ];
    let lost = copy((5, 6), 3, "s", Some(3), None);
    let seen = |times, etag| [lost.clone(), saw(times, 3, etag)];
    explained(&[("s", &source), ("t", &seen((10, 11), "f"))]);
    explained(&[("s", &source), ("t", &seen((10, 11), "g"))]);
    refused(&[("s", &source), ("t", &seen((10, 11), "e"))], "s");
    // Seen before the source ever held it.
    let early = judge(&[("s", &source), ("t", &seen((6, 7), "g"))]);
    assert!(!early.is_empty());
    explained(&[
        ("s", &source),
        ("t", &[lost, read((10, 11), Sight::Absent)]),
    ]);
}

#[test]
fn a_copy_takes_the_label_along_and_a_copy_of_a_copy_too() {
    let source = [put((1, 2), 1, "e"), put((3, 4), 2, "f")];
    let first = copy((5, 6), 3, "s", None, Some("f"));
    let second = copy((7, 8), 4, "t", None, Some("f"));
    let there = |label, etag| saw((9, 10), label, etag);
    let judged = |sight: Event| {
        let (first, second) = ([first.clone()], [second.clone(), sight]);
        judge(&[("s", &source), ("t", &first), ("u", &second)])
    };
    assert_eq!(judged(there(2, "f")), Vec::<String>::new());
    assert_eq!(judged(there(1, "e")).len(), 1);
    assert_eq!(judged(there(2, "e")).len(), 1);
    assert_eq!(judged(there(4, "f")).len(), 1);
}

#[test]
fn a_copy_onto_itself_keeps_the_bytes() {
    let copied = copy((3, 4), 2, "k", Some(2), Some("e"));
    let events = [put((1, 2), 1, "e"), copied.clone(), saw((5, 6), 2, "e")];
    explained(&[("k", &events)]);
    let events = [put((1, 2), 1, "e"), copied, saw((5, 6), 1, "e")];
    refused(&[("k", &events)], "k");
}

#[test]
fn a_lost_remove_may_happen_once() {
    let mut gone = remove((3, 4));
    if let What::Remove { ended, .. } = &mut gone.what {
        *ended = Ended::Unknown;
    }
    let absent = |at| read(at, Sight::Absent);
    let events = [put((1, 2), 1, "e"), gone, absent((5, 6))];
    explained(&[("k", &events)]);
    let back = [events.to_vec(), vec![saw((7, 8), 1, "e")]].concat();
    refused(&[("k", &back)], "k");
}
