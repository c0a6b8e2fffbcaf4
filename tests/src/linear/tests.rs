use proptest::prelude::*;

use super::*;

/// Spans that are told one after the other, each with its own times.
fn span(called: u64, answered: u64, operation: Operation, outcome: Outcome) -> Span {
    Span {
        client: called,
        operation,
        outcome,
        called,
        answered,
    }
}

fn put(called: u64, answered: u64, value: Value) -> Span {
    span(
        called,
        answered,
        Operation::Write(Some(value)),
        Outcome::Done,
    )
}

fn delete(called: u64, answered: u64) -> Span {
    span(called, answered, Operation::Write(None), Outcome::Done)
}

fn get(called: u64, answered: u64, state: State) -> Span {
    span(called, answered, Operation::Read, Outcome::Saw(state))
}

fn swap(called: u64, answered: u64, expected: State, to: Value, won: bool) -> Span {
    let outcome = if won {
        Outcome::Done
    } else {
        Outcome::Mismatch
    };
    span(called, answered, Operation::Swap { expected, to }, outcome)
}

fn lost(called: u64, operation: Operation) -> Span {
    span(called, 0, operation, Outcome::Unknown)
}

fn refused(history: &[Span]) {
    let verdict = check(history);
    assert!(
        matches!(verdict, Err(Violation::Unexplained { .. })),
        "{verdict:?}"
    );
}

#[test]
fn one_after_the_other_is_explained() {
    let history = [
        get(1, 2, None),
        put(3, 4, 1),
        get(5, 6, Some(1)),
        swap(7, 8, Some(1), 2, true),
        swap(9, 10, None, 3, false),
        delete(11, 12),
        swap(13, 14, None, 4, true),
        get(15, 16, Some(4)),
    ];
    assert_eq!(check(&history), Ok(()));
    assert_eq!(check(&[]), Ok(()));
}

#[test]
fn overlapping_reads_may_see_either() {
    let write = put(1, 10, 1);
    for (first, second) in [(None, None), (None, Some(1)), (Some(1), Some(1))] {
        assert_eq!(check(&[write, get(2, 3, first), get(4, 5, second)]), Ok(()));
    }
    refused(&[write, get(2, 3, Some(1)), get(4, 5, None)]);
}

#[test]
fn a_stale_read_is_found() {
    refused(&[put(1, 2, 1), get(3, 4, None)]);
    refused(&[put(1, 2, 1), put(3, 4, 2), get(5, 6, Some(1))]);
}

#[test]
fn a_lost_acknowledged_delete_is_found() {
    refused(&[put(1, 2, 1), delete(3, 4), get(5, 6, Some(1))]);
}

#[test]
fn an_overlapping_delete_may_come_after_a_write() {
    let history = [delete(1, 10), put(2, 3, 5), get(4, 5, None)];
    assert_eq!(check(&history), Ok(()));
}

#[test]
fn two_winners_of_one_creation_are_found() {
    refused(&[swap(1, 10, None, 1, true), swap(2, 9, None, 2, true)]);
    let one = [swap(1, 10, None, 1, true), swap(2, 9, None, 2, false)];
    assert_eq!(check(&one), Ok(()));
}

#[test]
fn a_creation_refused_for_no_reason_is_found() {
    refused(&[swap(1, 2, None, 1, false)]);
    refused(&[put(1, 2, 1), swap(3, 4, Some(1), 2, false)]);
    let reason = [swap(1, 10, None, 1, false), put(2, 3, 2), delete(4, 5)];
    assert_eq!(check(&reason), Ok(()));
}

#[test]
fn a_lost_update_is_found() {
    refused(&[
        put(1, 2, 1),
        swap(3, 8, Some(1), 2, true),
        swap(4, 7, Some(1), 3, true),
    ]);
}

#[test]
fn a_lost_answer_may_take_effect_late_or_never() {
    let write = lost(1, Operation::Write(Some(1)));
    assert_eq!(check(&[write, get(2, 3, None), get(4, 5, None)]), Ok(()));
    assert_eq!(check(&[write, get(2, 3, None), get(4, 5, Some(1))]), Ok(()));
    refused(&[write, get(2, 3, Some(1)), get(4, 5, None)]);
}

#[test]
fn a_lost_answer_takes_effect_once() {
    let write = lost(1, Operation::Write(Some(1)));
    let back = [write, get(2, 3, Some(1)), put(4, 5, 2), get(6, 7, Some(1))];
    refused(&back);
    let delete_once = [
        lost(1, Operation::Write(None)),
        put(2, 3, 1),
        get(4, 5, None),
        put(6, 7, 2),
        get(8, 9, None),
    ];
    refused(&delete_once);
}

#[test]
fn a_lost_answer_cannot_take_effect_before_its_call() {
    refused(&[get(1, 2, Some(7)), lost(3, Operation::Write(Some(7)))]);
}

#[test]
fn a_lost_unseen_write_can_still_explain_a_refusal() {
    let unseen = lost(1, Operation::Write(Some(1)));
    assert_eq!(check(&[unseen, swap(2, 3, None, 2, false)]), Ok(()));
    refused(&[unseen, swap(2, 3, None, 2, false), get(4, 5, None)]);
    // What is compared with is not just any value: the key held 1, and then it did not.
    let compared = swap(4, 5, Some(1), 3, false);
    refused(&[unseen, swap(2, 3, None, 2, false), compared]);
    let gone = lost(1, Operation::Write(None));
    let history = [unseen, gone, swap(2, 3, None, 2, false), get(4, 5, None)];
    assert_eq!(check(&history), Ok(()));
}

#[test]
fn what_nobody_wrote_and_what_cannot_be_are_named() {
    let strange = get(1, 2, Some(9));
    assert_eq!(check(&[strange]), Err(Violation::NeverWritten(strange)));
    for history in [
        vec![put(1, 2, 1), put(3, 4, 1)],
        vec![put(2, 2, 1)],
        vec![span(1, 2, Operation::Read, Outcome::Done)],
        vec![span(1, 2, Operation::Write(None), Outcome::Mismatch)],
    ] {
        let verdict = check(&history);
        assert!(
            matches!(verdict, Err(Violation::Malformed(_))),
            "{verdict:?}"
        );
    }
}

/// Forty clients without an answer each, and reads among them: the classes keep it small.
#[test]
fn many_lost_answers_are_decided() {
    let mut history = Vec::new();
    for number in 0..40 {
        let at = 10 * number + 1;
        history.push(lost(at, Operation::Write(Some(1_000 + number))));
        history.push(lost(at + 1, Operation::Write(None)));
        history.push(put(at + 2, at + 3, number));
        history.push(swap(at + 4, at + 5, None, 2_000 + number, false));
        history.push(get(at + 6, at + 7, Some(number)));
    }
    assert_eq!(check(&history), Ok(()));
    history.push(get(1_001, 1_002, Some(3)));
    refused(&history);
}

#[test]
fn a_violation_says_where_it_is_stuck() {
    let text = check(&[put(1, 2, 1), get(3, 4, None)])
        .unwrap_err()
        .to_string();
    assert!(
        text.contains("after 1 operations, holding Some(1)"),
        "{text}"
    );
    assert!(text.contains("client 3 [3..4] Read: Saw(None)"), "{text}");
}

/// What a script asks: `pick` chooses among what makes sense, the value is the position.
fn asked(pick: u8, value: Value, about: State) -> Operation {
    match pick % 6 {
        0 | 1 => Operation::Write(Some(value)),
        2 => Operation::Write(None),
        3 => Operation::Swap {
            expected: about,
            to: value,
        },
        _ => Operation::Read,
    }
}

/// A register that does what it is asked, at a point inside each span.
#[derive(Debug, Clone)]
struct Asked {
    pick: u8,
    about: u8,
    called: u64,
    before: u64,
    after: u64,
    answer_lost: bool,
    never_happens: bool,
}

fn asked_of_a_register() -> impl Strategy<Value = Asked> {
    let flags = (proptest::bool::weighted(0.2), any::<bool>());
    let times = (0..40_u64, 1..12_u64, 1..12_u64);
    (any::<u8>(), any::<u8>(), times, flags).prop_map(|(pick, about, times, flags)| Asked {
        pick,
        about,
        called: times.0,
        before: times.1,
        after: times.2,
        answer_lost: flags.0,
        never_happens: flags.1,
    })
}

/// The history of a true register. Times are spread so that no two are equal.
fn true_history(script: &[Asked]) -> Vec<Span> {
    let spread = script.len() as u64 * 3;
    let mut points: Vec<(u64, usize)> = script
        .iter()
        .enumerate()
        .map(|(index, one)| ((one.called + one.before) * spread + 3 * index as u64, index))
        .collect();
    points.sort_unstable();
    let mut state: State = None;
    let mut history = Vec::new();
    for (point, index) in points {
        let one = &script[index];
        let about = u64::from(one.about) % script.len() as u64;
        let about = (one.about > 100).then_some(if one.about > 180 {
            state.unwrap_or(about)
        } else {
            about
        });
        let operation = asked(one.pick, index as u64, about);
        let happens = !(one.answer_lost && one.never_happens);
        let (next, outcome) = match operation {
            Operation::Read => (state, Outcome::Saw(state)),
            Operation::Write(value) => (value, Outcome::Done),
            Operation::Swap { expected, .. } if expected != state => (state, Outcome::Mismatch),
            Operation::Swap { to, .. } => (Some(to), Outcome::Done),
        };
        if happens {
            state = next;
        }
        let outcome = if one.answer_lost {
            Outcome::Unknown
        } else {
            outcome
        };
        let called = point - one.before * spread + 1;
        history.push(span(
            called,
            point + one.after * spread + 2,
            operation,
            outcome,
        ));
    }
    history
}

/// Tries every order. For a handful of operations only.
fn by_trying_every_order(history: &[Span], done: &mut Vec<bool>, state: State) -> bool {
    let open = |index: usize, done: &[bool]| !done[index];
    let required = |span: &Span| span.outcome != Outcome::Unknown;
    if (0..history.len()).all(|index| done[index] || !required(&history[index])) {
        return true;
    }
    for index in 0..history.len() {
        let one = &history[index];
        let late = (0..history.len()).any(|other| {
            let other_span = &history[other];
            other != index
                && open(other, done)
                && required(other_span)
                && other_span.answered < one.called
        });
        if done[index] || late {
            continue;
        }
        let next = match (one.operation, one.outcome) {
            (Operation::Read, Outcome::Saw(seen)) if seen == state => state,
            (Operation::Read, Outcome::Unknown) => state,
            (Operation::Read, _) => continue,
            (Operation::Write(value), _) => value,
            (Operation::Swap { expected, .. }, Outcome::Mismatch) if expected != state => state,
            (Operation::Swap { .. }, Outcome::Mismatch) => continue,
            (Operation::Swap { expected, to }, _) if expected == state => Some(to),
            (Operation::Swap { .. }, _) => continue,
        };
        done[index] = true;
        let explained = by_trying_every_order(history, done, next);
        done[index] = false;
        if explained {
            return true;
        }
    }
    false
}

/// Any answers at all, most of them lies.
fn any_history() -> impl Strategy<Value = Vec<Span>> {
    let one = (any::<u8>(), 0..6_u64, 0..6_u64, 0..20_u64, 1..12_u64);
    proptest::collection::vec((one, 0..8_u8), 1..7).prop_map(|script| {
        let count = script.len() as u64;
        let mut history = Vec::new();
        for (index, ((pick, about, seen, called, length), answer)) in script.into_iter().enumerate()
        {
            let index = index as u64;
            let state = |number: u64| Some(number % count).filter(|value| *value > 0);
            let operation = asked(pick, index + 1, state(about));
            let outcome = match (operation, answer) {
                (_, 0) => Outcome::Unknown,
                (Operation::Read, _) => Outcome::Saw(state(seen)),
                (Operation::Swap { .. }, 1..=3) => Outcome::Mismatch,
                _ => Outcome::Done,
            };
            let called = called * 20 + index;
            history.push(span(called, called + length * 20 + 10, operation, outcome));
        }
        history
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn a_true_register_is_always_explained(
        script in proptest::collection::vec(asked_of_a_register(), 1..40),
    ) {
        prop_assert_eq!(check(&true_history(&script)), Ok(()));
    }

    #[test]
    fn a_changed_read_of_a_true_register_agrees_with_every_order(
        script in proptest::collection::vec(asked_of_a_register(), 2..8),
        lie in any::<u8>(),
    ) {
        let mut history = true_history(&script);
        let at = usize::from(lie) % history.len();
        if history[at].operation == Operation::Read && history[at].outcome != Outcome::Unknown {
            let values: Vec<Value> = history.iter().filter_map(|one| one.operation.value()).collect();
            let value = values.get(usize::from(lie) / 16 % (values.len() + 1)).copied();
            history[at].outcome = Outcome::Saw(value);
        }
        let expected = by_trying_every_order(&history, &mut vec![false; history.len()], None);
        prop_assert_eq!(check(&history).is_ok(), expected, "{:#?}", history);
    }

    #[test]
    fn agrees_with_every_order(history in any_history()) {
        let expected = by_trying_every_order(&history, &mut vec![false; history.len()], None);
        prop_assert_eq!(check(&history).is_ok(), expected, "{:#?}", history);
    }
}
