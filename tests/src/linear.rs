//! Whether what concurrent clients saw of one key could have happened one operation at a time.
//!
//! ```text
//! client 1   ├── PUT 1 ──┤         ├──── GET: 2 ────┤
//! client 2        ├──────── PUT 2 ─────? no answer
//! client 3                  ├─ GET: 1 ─┤
//!                   ▲              ▲ ▲      one point inside each span explains all of it
//! ```
//!
//! A history is linearizable if every operation can be given one point between its call and its
//! answer so that, in the order of the points, each finds what it says it found. An operation
//! without an answer may have its point at any time after its call, or never. The search is that
//! of Wing and Gong with Lowe's memory of the configurations seen; what keeps it small:
//!
//! * every value is written once, so a lost answer whose value somebody saw is an operation that
//!   happened, before the first who saw it had his answer;
//! * the other lost answers differ only in what they could explain, and of those that could explain
//!   the same the first called is as good as any;
//! * what is seen of a key may fit several values (a listing shows an ETag, which they may share):
//!   values that fit the same sights are one value to the search;
//! * an operation that changes nothing is given its point as soon as it fits.

mod search;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// What is written: each value is written at most once in the life of a key.
pub type Value = u64;
/// What a key holds; `None` is absent.
pub type State = Option<Value>;

/// Some of what a key may hold.
pub type States = Arc<BTreeSet<State>>;

/// What was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// PUT of a value, or DELETE (`None`), without a condition.
    Write(State),
    /// PUT of `to` if the key holds `expected`; `None` is `If-None-Match: *`.
    Swap {
        /// What the key must hold.
        expected: State,
        /// What it holds then.
        to: Value,
    },
    /// Makes it `to` if the key holds one of `expected`.
    SwapAmong {
        /// One of these the key must hold.
        expected: States,
        /// What it holds then.
        to: State,
    },
    /// GET.
    Read,
}

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A write or swap was acknowledged.
    Done,
    /// A swap was refused because the key did not hold what it expected.
    Mismatch,
    /// A swap was acknowledged, whether or not the key held what it expected.
    Either,
    /// A read found this.
    Saw(State),
    /// A read found one of these, and does not tell which.
    SawOneOf(States),
    /// No answer, or one that does not say.
    Unknown,
}

/// One operation of one client. Times are ticks of one counter for all clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Who asked, for messages.
    pub client: u64,
    /// What was asked.
    pub operation: Operation,
    /// What was answered.
    pub outcome: Outcome,
    /// When it was asked.
    pub called: u64,
    /// When the answer was there; without meaning where the outcome is unknown.
    pub answered: u64,
}

/// What is wrong with a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Violation {
    /// Not a history of what a register can be asked; a fault of the recorder.
    Malformed(String),
    /// A read found what nobody wrote.
    NeverWritten(Span),
    /// No order explains it: the longest explained beginning, and what could come next but fits
    /// not.
    Unexplained {
        /// How many operations could be put in order.
        explained: usize,
        /// What the key held then.
        state: State,
        /// The operations of which one had to come next.
        stuck: Vec<Span>,
    },
    /// More configurations than the search looks at.
    TooHard,
}

impl fmt::Display for Violation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(what) => write!(out, "malformed history: {what}"),
            Self::NeverWritten(span) => write!(out, "nobody wrote what was read: {span}"),
            Self::TooHard => write!(out, "too many configurations to decide"),
            Self::Unexplained {
                explained,
                state,
                stuck,
            } => {
                write!(out, "after {explained} operations, holding {state:?}, ")?;
                write!(out, "none of these can come next:")?;
                stuck.iter().try_for_each(|span| write!(out, "\n  {span}"))
            }
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            client,
            operation,
            outcome,
            called,
            answered,
        } = self;
        write!(out, "client {client} [{called}")?;
        match outcome {
            Outcome::Unknown => write!(out, "..] {operation:?}: no answer"),
            _ => write!(out, "..{answered}] {operation:?}: {outcome:?}"),
        }
    }
}

/// Looks for an order that explains a history of a key that was absent at its beginning.
///
/// # Errors
/// [`Violation`].
pub fn check(history: &[Span]) -> Result<(), Violation> {
    let written = written(history)?;
    for span in history {
        let may_be = |state: &State| state.is_none_or(|value| written.contains(&value));
        let may_be = match &span.outcome {
            Outcome::Saw(state) => may_be(state),
            Outcome::SawOneOf(states) => states.iter().any(may_be),
            _ => true,
        };
        if !may_be {
            return Err(Violation::NeverWritten(span.clone()));
        }
    }
    search::explain(&steps(history))
}

/// Every value that some operation may have written.
fn written(history: &[Span]) -> Result<BTreeSet<Value>, Violation> {
    let mut written = BTreeSet::new();
    for span in history {
        let fits = match (&span.operation, &span.outcome) {
            (_, Outcome::Unknown) => true,
            (Operation::Write(_), outcome) => *outcome == Outcome::Done,
            (Operation::Swap { .. } | Operation::SwapAmong { .. }, outcome) => {
                matches!(outcome, Outcome::Done | Outcome::Mismatch | Outcome::Either)
            }
            (Operation::Read, outcome) => {
                matches!(outcome, Outcome::Saw(_) | Outcome::SawOneOf(_))
            }
        };
        if !fits || (span.outcome != Outcome::Unknown && span.answered <= span.called) {
            return Err(Violation::Malformed(format!("cannot be: {span}")));
        }
        if let Some(value) = span.operation.value()
            && !written.insert(value)
        {
            return Err(Violation::Malformed(format!("{value} is written twice")));
        }
    }
    Ok(written)
}

impl Operation {
    /// What it writes.
    fn value(&self) -> State {
        match self {
            Self::Write(value) | Self::SwapAmong { to: value, .. } => *value,
            Self::Swap { to, .. } => Some(*to),
            Self::Read => None,
        }
    }
}

/// An operation as the search sees it.
#[derive(Debug, Clone)]
struct Step {
    span: Span,
    /// The last tick at which it may have its point; none for one that may never have it.
    deadline: Option<u64>,
    /// Of steps that need not happen, those of one class can explain the same.
    class: usize,
}

/// The steps in the order of their calls.
fn steps(history: &[Span]) -> Vec<Step> {
    let deadlines = deadlines(history);
    let alike = alike(history);
    let mut steps = Vec::new();
    let mut classes: Vec<Operation> = Vec::new();
    for (span, deadline) in history.iter().zip(deadlines) {
        if span.outcome == Outcome::Unknown && span.operation == Operation::Read {
            continue;
        }
        let mut span = span.clone();
        if deadline.is_none() {
            span.operation = span.operation.with_values_of(&alike);
        } else if span.outcome == Outcome::Unknown {
            span.outcome = Outcome::Done;
        }
        let known = classes.iter().position(|class| *class == span.operation);
        let class = known.unwrap_or_else(|| {
            classes.push(span.operation.clone());
            classes.len() - 1
        });
        steps.push(Step {
            span,
            deadline,
            class,
        });
    }
    steps.sort_by_key(|step| (step.span.called, step.deadline));
    steps
}

/// For each value written the first one that nothing seen or asked for tells from it.
fn alike(history: &[Span]) -> BTreeMap<Value, Value> {
    let mut sights: BTreeSet<States> = BTreeSet::new();
    let one = |state: &State| Arc::new(BTreeSet::from([*state]));
    for span in history {
        match &span.operation {
            Operation::Swap { expected, .. } => drop(sights.insert(one(expected))),
            Operation::SwapAmong { expected, .. } => drop(sights.insert(Arc::clone(expected))),
            Operation::Write(_) | Operation::Read => {}
        }
        match &span.outcome {
            Outcome::Saw(state) => drop(sights.insert(one(state))),
            Outcome::SawOneOf(states) => drop(sights.insert(Arc::clone(states))),
            _ => {}
        }
    }
    let mut first: BTreeMap<Vec<bool>, Value> = BTreeMap::new();
    let values = history.iter().filter_map(|span| span.operation.value());
    values
        .map(|value| {
            let fits = sights.iter().map(|sight| sight.contains(&Some(value)));
            (value, *first.entry(fits.collect()).or_insert(value))
        })
        .collect()
}

impl Operation {
    /// The same operation on the value that stands for all that are like its own.
    fn with_values_of(self, alike: &BTreeMap<Value, Value>) -> Self {
        let stand_in = |value: Value| alike.get(&value).copied().unwrap_or(value);
        match self {
            Self::Write(value) => Self::Write(value.map(stand_in)),
            Self::Swap { expected, to } => Self::Swap {
                expected,
                to: stand_in(to),
            },
            Self::SwapAmong { expected, to } => Self::SwapAmong {
                expected,
                to: to.map(stand_in),
            },
            Self::Read => Self::Read,
        }
    }
}

/// When each operation has had its point at the latest. A lost answer whose value was seen has one:
/// it came before whoever saw it was answered.
fn deadlines(history: &[Span]) -> Vec<Option<u64>> {
    let answered = |span: &Span| (span.outcome != Outcome::Unknown).then_some(span.answered);
    let mut deadlines: Vec<Option<u64>> = history.iter().map(answered).collect();
    let mut seen: BTreeMap<Value, u64> = BTreeMap::new();
    loop {
        for (span, deadline) in history.iter().zip(&deadlines) {
            if let (Some(value), Some(deadline)) = (span.saw(), *deadline) {
                let first = seen.entry(value).or_insert(deadline);
                *first = deadline.min(*first);
            }
        }
        let mut settled = true;
        for (span, deadline) in history.iter().zip(&mut deadlines) {
            let known = span.operation.value().and_then(|value| seen.get(&value));
            if span.outcome == Outcome::Unknown && *deadline != known.copied() {
                *deadline = known.copied();
                settled = false;
            }
        }
        if settled {
            return deadlines;
        }
    }
}

impl Span {
    /// The value that it proves to have been there, if it happened.
    fn saw(&self) -> State {
        let only = |states: &States| match states.first() {
            Some(state) if states.len() == 1 => *state,
            _ => None,
        };
        match (&self.operation, &self.outcome) {
            (Operation::Read, Outcome::Saw(state)) => *state,
            (Operation::Read, Outcome::SawOneOf(states)) => only(states),
            (Operation::Swap { expected, .. }, Outcome::Done | Outcome::Unknown) => *expected,
            (Operation::SwapAmong { expected, .. }, Outcome::Done | Outcome::Unknown) => {
                only(expected)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
