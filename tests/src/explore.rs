//! All states of a small model, breadth first.
//!
//! ```text
//!  initial ──> successors ──> canonical? (the model's) ──> seen? ── no ──> checked ──> queue
//!                                                            └ yes: forgotten
//!  a state that breaks a rule ──> parents back to the initial state ──> the shortest way there
//! ```
//!
//! States are kept whole and compared whole: no two are taken for one because their hashes agree.
//! Where the model folds states that differ only in names (symmetry), it does so before it hands them
//! out. A search that meets its bound says so; it never passes for a complete one.

use std::collections::BTreeSet;
use std::fmt;
use std::hash::{Hash, Hasher};

mod table;

use table::Table;

/// What is explored.
pub trait Model {
    /// One state; small, since all of them are kept.
    type State: Clone + Eq + Hash;
    /// One step, told in a trace.
    type Step: fmt::Display;

    /// Where everything begins.
    fn initial(&mut self) -> Self::State;

    /// Every step that can be taken in `state`, with the state it leads to. The same steps in the
    /// same order each time it is asked.
    fn successors(&mut self, state: &Self::State, out: &mut Vec<(Self::Step, Self::State)>);

    /// The rules that hold in every state.
    ///
    /// # Errors
    /// The rule that is broken.
    fn check(&mut self, state: &Self::State) -> Result<(), String>;

    /// What is worth having been seen in `state`: a search that never saw it explored too little.
    fn landmarks(&mut self, state: &Self::State, seen: &mut BTreeSet<&'static str>);

    /// A state for people.
    fn show(&mut self, state: &Self::State) -> String;
}

/// The shortest way to a state that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counterexample {
    /// The rule.
    pub broken: String,
    /// The steps, and the state after each, for people.
    pub trace: Vec<(String, String)>,
}

impl fmt::Display for Counterexample {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{}, after {} steps:", self.broken, self.trace.len())?;
        for (number, (step, state)) in (1..).zip(&self.trace) {
            writeln!(out, "{number:>3}. {step}\n       {state}")?;
        }
        Ok(())
    }
}

/// What a search found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explored {
    /// Different states.
    pub states: usize,
    /// Steps between them.
    pub steps: usize,
    /// Steps on the shortest way to the farthest state expanded.
    pub depth: usize,
    /// Whether every state was reached that can be.
    pub complete: bool,
    /// The first rule that was found broken.
    pub counterexample: Option<Counterexample>,
    /// Landmarks seen.
    pub landmarks: BTreeSet<&'static str>,
}

/// Explores until a state breaks a rule, none is left, or `most` states are known.
pub fn explore<M: Model>(model: &mut M, most: usize) -> Explored {
    let mut search = Search::new(model.initial());
    let broken = search.run(model, most);
    let trace = |(broken, at)| Counterexample {
        broken,
        trace: search.trace(model, at),
    };
    let counterexample = broken.map(trace);
    Explored {
        states: search.states.len(),
        steps: search.steps,
        depth: search.depth,
        complete: counterexample.is_none() && search.states.len() < most,
        counterexample,
        landmarks: search.landmarks,
    }
}

/// States in the order they were found, and how.
struct Search<S> {
    states: Vec<S>,
    /// For each state the one it was found from, and which of its successors it was.
    parents: Vec<(u32, u16)>,
    table: Table,
    steps: usize,
    depth: usize,
    landmarks: BTreeSet<&'static str>,
}

impl<S: Clone + Eq + Hash> Search<S> {
    fn new(initial: S) -> Self {
        let mut search = Self {
            states: Vec::new(),
            parents: Vec::new(),
            table: Table::new(),
            steps: 0,
            depth: 0,
            landmarks: BTreeSet::new(),
        };
        search.admit(initial, 0, 0);
        search
    }

    /// Gives the first rule found broken, and by which state.
    fn run<M: Model<State = S>>(&mut self, model: &mut M, most: usize) -> Option<(String, usize)> {
        let mut successors = Vec::new();
        let (mut at, mut layer_end) = (0, 1);
        let mut checked = 0;
        loop {
            while let Some(state) = self.states.get(checked) {
                if let Err(broken) = model.check(state) {
                    return Some((broken, checked));
                }
                model.landmarks(state, &mut self.landmarks);
                checked += 1;
            }
            if checked >= most {
                return None;
            }
            let state = self.states.get(at)?.clone();
            if at == layer_end {
                self.depth += 1;
                layer_end = self.states.len();
            }
            model.successors(&state, &mut successors);
            self.steps += successors.len();
            for (ordinal, (_, next)) in successors.drain(..).enumerate() {
                self.admit(next, at, ordinal);
            }
            at += 1;
        }
    }

    /// Keeps a state that was not seen before.
    fn admit(&mut self, state: S, parent: usize, ordinal: usize) {
        let Ok(index) = u32::try_from(self.states.len()) else {
            return;
        };
        let states = &self.states;
        let hash = |index: u32| states.get(to_usize(index)).map_or(0, table::hash_of);
        let same = |index: u32| states.get(to_usize(index)) == Some(&state);
        if !self.table.insert(table::hash_of(&state), index, same, hash) {
            return;
        }
        let parent = u32::try_from(parent).unwrap_or(u32::MAX);
        let ordinal = u16::try_from(ordinal).unwrap_or(u16::MAX);
        self.parents.push((parent, ordinal));
        self.states.push(state);
    }

    fn trace<M: Model<State = S>>(&self, model: &mut M, mut at: usize) -> Vec<(String, String)> {
        let mut trace = Vec::new();
        while at != 0 {
            let Some((parent, ordinal)) = self.parents.get(at) else {
                break;
            };
            at = to_usize(*parent);
            let mut successors = Vec::new();
            if let Some(state) = self.states.get(at) {
                model.successors(state, &mut successors);
            }
            if let Some((step, next)) = successors.get(usize::from(*ordinal)) {
                trace.push((step.to_string(), model.show(next)));
            }
        }
        trace.reverse();
        trace
    }
}

fn to_usize(index: u32) -> usize {
    usize::try_from(index).unwrap_or(usize::MAX)
}

/// A fast hasher of no secrecy: the keys are our own.
#[derive(Clone, Copy, Debug, Default)]
pub struct QuickHasher(u64);

impl Hasher for QuickHasher {
    fn finish(&self) -> u64 {
        // The low bits choose the place; let the high ones have their say.
        self.0 ^ (self.0 >> 32)
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let number = (chunk.iter()).fold(0, |number, byte| (number << 8) | u64::from(*byte));
            self.write_u64(number);
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(5) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn write_u8(&mut self, number: u8) {
        self.write_u64(number.into());
    }

    fn write_u16(&mut self, number: u16) {
        self.write_u64(number.into());
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(number.into());
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(u64::try_from(number).unwrap_or(u64::MAX));
    }
}

/// Maps by [`QuickHasher`].
pub type QuickMap<K, V> =
    std::collections::HashMap<K, V, std::hash::BuildHasherDefault<QuickHasher>>;

#[cfg(test)]
mod tests;
