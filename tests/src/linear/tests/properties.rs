//! The search against a register that does what it is asked, and against every order there is.

use proptest::prelude::*;

use super::*;

/// What a script asks: `pick` chooses among what makes sense, the value is the position.
fn asked(pick: u8, value: Value, about: State) -> Operation {
    match pick % 8 {
        0 | 1 => Operation::Write(Some(value)),
        2 => Operation::Write(None),
        3 => Operation::Swap {
            expected: about,
            to: value,
        },
        4 => Operation::SwapAmong {
            expected: some_of(pick, about),
            to: Some(value).filter(|_| pick < 128),
        },
        _ => Operation::Read,
    }
}

/// A state among others: which ones, `pick` says.
fn some_of(pick: u8, state: State) -> States {
    let others = (0..4_u64).filter(|bit| pick >> (bit + 3) & 1 == 1);
    let others = others.map(|bit| Some(bit + 1).filter(|value| *value < 4));
    Arc::new(others.chain([state]).collect())
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
        let (next, outcome) = answer(&operation, state, one.about);
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

/// What a true register makes of an operation, and what it says: all, or `vague` as it is asked.
fn answer(operation: &Operation, state: State, vague: u8) -> (State, Outcome) {
    let swap = |fits: bool, to: State| match (fits, vague % 4) {
        (true, 0) => (to, Outcome::Either),
        (false, 0) => (state, Outcome::Either),
        (true, _) => (to, Outcome::Done),
        (false, _) => (state, Outcome::Mismatch),
    };
    match operation {
        Operation::Read if vague.is_multiple_of(3) => {
            (state, Outcome::SawOneOf(some_of(vague, state)))
        }
        Operation::Read => (state, Outcome::Saw(state)),
        Operation::Write(value) => (*value, Outcome::Done),
        Operation::Swap { expected, to } => swap(*expected == state, Some(*to)),
        Operation::SwapAmong { expected, to } => swap(expected.contains(&state), *to),
    }
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
        let Some(next) = allowed(one, state) else {
            continue;
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

/// What the key holds after an operation ended as it did; none where it cannot have.
fn allowed(one: &Span, state: State) -> Option<State> {
    let (fits, to) = match &one.operation {
        Operation::Read => {
            let seen = match &one.outcome {
                Outcome::Saw(seen) => *seen == state,
                Outcome::SawOneOf(seen) => seen.contains(&state),
                outcome => *outcome == Outcome::Unknown,
            };
            return seen.then_some(state);
        }
        Operation::Write(value) => return Some(*value),
        Operation::Swap { expected, to } => (*expected == state, Some(*to)),
        Operation::SwapAmong { expected, to } => (expected.contains(&state), *to),
    };
    match (&one.outcome, fits) {
        (Outcome::Mismatch | Outcome::Either, false) => Some(state),
        (Outcome::Mismatch, true) | (_, false) => None,
        (_, true) => Some(to),
    }
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
            let outcome = match (&operation, answer) {
                (_, 0) => Outcome::Unknown,
                (Operation::Read, 1..=3) => Outcome::SawOneOf(some_of(pick, state(seen))),
                (Operation::Read, _) => Outcome::Saw(state(seen)),
                (Operation::Write(_), _) => Outcome::Done,
                (_, 1..=3) => Outcome::Mismatch,
                (_, 4 | 5) => Outcome::Either,
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
