//! The search for an order.

use std::collections::HashSet;

use super::{Operation, Outcome, Span, State, Step, Violation};

/// Configurations looked at before the search gives up.
const CONFIGURATIONS_MAX: usize = 2_000_000;

/// Which steps have their point, and what the key holds after them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Configuration {
    done: Vec<u64>,
    state: State,
}

impl Configuration {
    fn has(&self, step: usize) -> bool {
        self.done
            .get(step / 64)
            .is_some_and(|word| word >> (step % 64) & 1 == 1)
    }

    fn with(mut self, step: usize, state: State) -> Self {
        if let Some(word) = self.done.get_mut(step / 64) {
            *word |= 1 << (step % 64);
        }
        self.state = state;
        self
    }

    fn count(&self) -> usize {
        self.done
            .iter()
            .map(|word| word.count_ones() as usize)
            .sum()
    }
}

/// Finds an order of the steps, which are sorted by their calls, or says how far it came.
pub(super) fn explain(steps: &[Step]) -> Result<(), Violation> {
    let start = Configuration {
        done: vec![0; steps.len().div_ceil(64)],
        state: None,
    };
    let mut deepest = start.clone();
    let mut seen = HashSet::new();
    let mut open = vec![start];
    while let Some(configuration) = open.pop() {
        let configuration = settle(configuration, steps);
        if is_complete(&configuration, steps) {
            return Ok(());
        }
        if !seen.insert(configuration.clone()) {
            continue;
        }
        if seen.len() > CONFIGURATIONS_MAX {
            return Err(Violation::TooHard);
        }
        if configuration.count() > deepest.count() {
            deepest.clone_from(&configuration);
        }
        open.extend(successors(&configuration, steps));
    }
    Err(Violation::Unexplained {
        explained: deepest.count(),
        state: deepest.state,
        stuck: next(&deepest, steps)
            .into_iter()
            .filter_map(|step| steps.get(step))
            .map(|step| step.span.clone())
            .collect(),
    })
}

fn is_complete(configuration: &Configuration, steps: &[Step]) -> bool {
    let mut wanted = steps.iter().enumerate();
    wanted.all(|(index, step)| step.deadline.is_none() || configuration.has(index))
}

/// The steps that may come next: called before the first deadline of those still to come.
fn next(configuration: &Configuration, steps: &[Step]) -> Vec<usize> {
    let mut first_deadline = u64::MAX;
    let mut found = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        if step.span.called > first_deadline {
            break;
        }
        if !configuration.has(index) {
            first_deadline = first_deadline.min(step.deadline.unwrap_or(u64::MAX));
            found.push(index);
        }
    }
    found
}

/// Gives a point to every step that never changes anything and fits now: where it could have it
/// later, it can have it now.
fn settle(mut configuration: Configuration, steps: &[Step]) -> Configuration {
    loop {
        let fitting = next(&configuration, steps).into_iter().find(|index| {
            steps.get(*index).is_some_and(|step| {
                only_looks(&step.span) && after(&step.span, configuration.state).is_some()
            })
        });
        match fitting {
            Some(index) => {
                let state = configuration.state;
                configuration = configuration.with(index, state);
            }
            None => return configuration,
        }
    }
}

/// A read, or a swap that was refused.
fn only_looks(span: &Span) -> bool {
    matches!(
        span.outcome,
        Outcome::Saw(_) | Outcome::SawOneOf(_) | Outcome::Mismatch
    )
}

/// What one more step makes of a configuration; the last given is the first to be looked at.
fn successors(configuration: &Configuration, steps: &[Step]) -> Vec<Configuration> {
    let mut found = Vec::new();
    let mut tried = HashSet::new();
    for index in next(configuration, steps) {
        let Some(step) = steps.get(index) else {
            continue;
        };
        if step.deadline.is_none() && !tried.insert(step.class) {
            continue;
        }
        let Some(state) = after(&step.span, configuration.state) else {
            continue;
        };
        if step.deadline.is_none() && state == configuration.state {
            continue;
        }
        let urgency = step.deadline.unwrap_or(u64::MAX);
        found.push((urgency, configuration.clone().with(index, state)));
    }
    found.sort_by_key(|(urgency, _)| std::cmp::Reverse(*urgency));
    found.into_iter().map(|(_, next)| next).collect()
}

/// What the key holds after an operation on `state`; `None` where it would have ended otherwise.
fn after(span: &Span, state: State) -> Option<State> {
    match (&span.operation, &span.outcome) {
        (Operation::Read, Outcome::Saw(seen)) => (*seen == state).then_some(state),
        (Operation::Read, Outcome::SawOneOf(seen)) => seen.contains(&state).then_some(state),
        (Operation::Read, _) => None,
        (Operation::Write(value), _) => Some(*value),
        (Operation::Swap { expected, to }, outcome) => {
            swapped(*expected == state, Some(*to), state, outcome)
        }
        (Operation::SwapAmong { expected, to }, outcome) => {
            swapped(expected.contains(&state), *to, state, outcome)
        }
    }
}

fn swapped(fits: bool, to: State, state: State, outcome: &Outcome) -> Option<State> {
    match outcome {
        Outcome::Mismatch => (!fits).then_some(state),
        Outcome::Either if !fits => Some(state),
        _ => fits.then_some(to),
    }
}
