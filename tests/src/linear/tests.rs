use super::*;

mod properties;

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

fn states<const N: usize>(states: [State; N]) -> States {
    Arc::new(BTreeSet::from(states))
}

/// A read that saw one of these.
fn glimpse<const N: usize>(called: u64, answered: u64, seen: [State; N]) -> Span {
    let outcome = Outcome::SawOneOf(states(seen));
    span(called, answered, Operation::Read, outcome)
}

/// A swap of one of `expected` for `to`.
fn among<const N: usize>(
    (called, answered): (u64, u64),
    expected: [State; N],
    to: State,
    outcome: Outcome,
) -> Span {
    let expected = states(expected);
    span(
        called,
        answered,
        Operation::SwapAmong { expected, to },
        outcome,
    )
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
        let history = [write.clone(), get(2, 3, first), get(4, 5, second)];
        assert_eq!(check(&history), Ok(()));
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
    let then = |first, second| [write.clone(), get(2, 3, first), get(4, 5, second)];
    assert_eq!(check(&then(None, None)), Ok(()));
    assert_eq!(check(&then(None, Some(1))), Ok(()));
    refused(&then(Some(1), None));
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
    let refusal = swap(2, 3, None, 2, false);
    assert_eq!(check(&[unseen.clone(), refusal.clone()]), Ok(()));
    refused(&[unseen.clone(), refusal.clone(), get(4, 5, None)]);
    // What is compared with is not just any value: the key held 1, and then it did not.
    let compared = swap(4, 5, Some(1), 3, false);
    refused(&[unseen.clone(), refusal, compared]);
    let gone = lost(1, Operation::Write(None));
    let history = [unseen, gone, swap(2, 3, None, 2, false), get(4, 5, None)];
    assert_eq!(check(&history), Ok(()));
}

#[test]
fn what_nobody_wrote_and_what_cannot_be_are_named() {
    let strange = get(1, 2, Some(9));
    let verdict = check(std::slice::from_ref(&strange));
    assert_eq!(verdict, Err(Violation::NeverWritten(strange)));
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

#[test]
fn a_glimpse_fits_each_of_what_it_may_have_been_and_nothing_else() {
    let history = |seen: Span| [put(1, 2, 1), put(3, 4, 2), seen];
    assert_eq!(check(&history(glimpse(5, 6, [Some(2), Some(3)]))), Ok(()));
    assert_eq!(check(&history(glimpse(5, 6, [None, Some(2)]))), Ok(()));
    refused(&history(glimpse(5, 6, [None, Some(1)])));
    let strange = glimpse(1, 2, [Some(8), Some(9)]);
    let verdict = check(std::slice::from_ref(&strange));
    assert_eq!(verdict, Err(Violation::NeverWritten(strange)));
    let nothing = glimpse(1, 2, []);
    assert!(matches!(check(&[nothing]), Err(Violation::NeverWritten(_))));
}

#[test]
fn a_glimpse_of_one_lost_write_gives_it_a_time() {
    let write = lost(1, Operation::Write(Some(1)));
    refused(&[
        write.clone(),
        glimpse(2, 3, [Some(1)]),
        put(4, 5, 2),
        get(6, 7, Some(2)),
        get(8, 9, Some(1)),
    ]);
    // Two that look the same: either may have been there, and the other comes later.
    let twin = lost(1, Operation::Write(Some(5)));
    let history = [
        write,
        twin,
        glimpse(2, 3, [Some(1), Some(5)]),
        put(4, 5, 2),
        get(6, 7, Some(2)),
        get(8, 9, Some(1)),
    ];
    assert_eq!(check(&history), Ok(()));
}

#[test]
fn a_swap_among_several_needs_one_of_them() {
    let won = among((3, 4), [Some(1), Some(7)], Some(2), Outcome::Done);
    assert_eq!(
        check(&[put(1, 2, 1), won.clone(), get(5, 6, Some(2))]),
        Ok(())
    );
    refused(&[put(1, 2, 1), won.clone(), get(5, 6, Some(1))]);
    refused(&[put(1, 2, 9), won]);
    let lost = among((3, 4), [Some(1), Some(7)], None, Outcome::Mismatch);
    assert_eq!(
        check(&[put(1, 2, 9), lost.clone(), get(5, 6, Some(9))]),
        Ok(())
    );
    refused(&[put(1, 2, 1), lost]);
}

#[test]
fn an_answer_that_fits_both_changes_what_it_can() {
    let create = among((3, 4), [None], Some(2), Outcome::Either);
    assert_eq!(check(&[create.clone(), get(5, 6, Some(2))]), Ok(()));
    refused(&[create.clone(), get(5, 6, None)]);
    assert_eq!(
        check(&[put(1, 2, 1), create.clone(), get(5, 6, Some(1))]),
        Ok(())
    );
    refused(&[put(1, 2, 1), create, get(5, 6, Some(2))]);
}

/// As many lost writes, and glimpses that fit some of them each.
#[test]
fn many_lost_answers_behind_glimpses_are_decided() {
    let mut history = Vec::new();
    for number in 0..40 {
        let at = 10 * number + 1;
        history.push(lost(at, Operation::Write(Some(1_000 + number))));
        history.push(lost(at + 1, Operation::Write(None)));
        history.push(put(at + 2, at + 3, number));
        let alike = (0..40).filter(|other| other % 3 == number % 3);
        let seen = alike.flat_map(|other| [Some(other), Some(1_000 + other)]);
        let outcome = Outcome::SawOneOf(Arc::new(seen.collect()));
        history.push(span(at + 4, at + 5, Operation::Read, outcome));
    }
    assert_eq!(check(&history), Ok(()));
}
