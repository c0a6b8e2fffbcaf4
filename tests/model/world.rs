//! The state of everything, and what can happen next.

use std::collections::BTreeSet;
use std::fmt;

use cairn_tests::explore::{Model, QuickMap};

use crate::bounds::Bounds;
use crate::facts::Facts;
use crate::replica::{Outcome, Replica, Rows, Told};
use crate::rules::{self, Rule};
use crate::say::{Key, OPERATIONS, Request, Say, Verb, Writing};
use crate::without::Without;

pub(crate) mod misfortunes;
pub(crate) mod planner;
pub(crate) mod reader;
pub(crate) mod writers;

use reader::Reader;
use writers::Writer;

/// Everything. Masks are of writings.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct State {
    /// What is committed.
    pub(crate) rows: Rows,
    /// Writings whose shard is on the node.
    pub(crate) shards: u16,
    /// Shards on their way, of writers that do not wait for them any more.
    pub(crate) arriving: u16,
    /// Shards that cannot be read.
    pub(crate) rotten: u16,
    /// Deletes that the leader was told are carried out.
    pub(crate) done: u16,
    /// Orders to delete of which the leader knows nothing, and that may still arrive, any number of times.
    pub(crate) late: u16,
    /// In order: they are alike.
    pub(crate) writers: [Writer; 2],
    pub(crate) reader: Reader,
    /// Entries that may be committed long after they were given up.
    pub(crate) strays: [Option<Say>; 2],
    /// Requests whose entry was applied in its open session, by (session, operation).
    pub(crate) decided: u32,
    /// The keys that must be there, by what took effect.
    pub(crate) keys: u8,
    pub(crate) left: Left,
    /// A rule that a step broke.
    pub(crate) broken: Option<Rule>,
}

/// What may still go wrong.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Left {
    pub(crate) strays: u8,
    pub(crate) late_writes: u8,
    pub(crate) leaders: u8,
    pub(crate) rots: u8,
}

/// One step.
#[derive(Clone, Copy)]
pub(crate) enum Step {
    Writer(writers::Step),
    Reader(reader::Step),
    Planner(planner::Step),
    Misfortune(misfortunes::Step),
}

pub(crate) type Successors = Vec<(Step, State)>;

/// The model.
pub(crate) struct World {
    pub(crate) bounds: Bounds,
    pub(crate) replica: Replica,
    /// What was left when everybody had gone.
    pub(crate) settled: QuickMap<(Rows, u16), Option<Rule>>,
}

impl World {
    pub(crate) fn new(bounds: Bounds) -> Self {
        assert!(bounds.writers.iter().all(|requests| *requests <= OPERATIONS) && bounds.strays <= 2);
        Self {
            bounds,
            replica: Replica::new(bounds.without),
            settled: QuickMap::default(),
        }
    }

    pub(crate) fn lacks(&self, without: Without) -> bool {
        self.bounds.lacks(without)
    }

    /// Commits what is said and holds it against what was said before.
    pub(crate) fn commit(&mut self, state: &State, say: Say) -> (State, Told) {
        let mut next = state.clone();
        let outcome = self.replica.say(state.rows, say);
        next.rows = outcome.rows;
        if outcome.told == Told::Halted {
            next.broken = Some(Rule::Halted);
        } else if outcome.taken_back {
            next.broken = Some(Rule::TakenBack);
        } else if let Say::Ask(request) = say {
            self.hold_against(state, &mut next, request, outcome);
        }
        (next, outcome.told)
    }

    fn hold_against(&self, state: &State, next: &mut State, request: Request, outcome: Outcome) {
        let before = self.replica.facts(state.rows);
        let after = self.replica.facts(next.rows);
        let is_open = before.is_open(request.session);
        if !is_open && outcome.changed {
            next.broken = Some(Rule::EndedApplied);
        }
        let (Verb::Put(key, _) | Verb::Claim(key) | Verb::Delete(key)) = request.verb else {
            return;
        };
        if state.has_decided(request) {
            if outcome.objects_changed {
                next.broken = Some(Rule::DoneTwice);
            }
            return;
        }
        if is_open || outcome.objects_changed {
            next.decided |= request_bit(request);
        }
        if outcome.told != Told::Done {
            return;
        }
        if matches!(request.verb, Verb::Delete(_)) {
            next.keys &= !key.bit();
            return;
        }
        next.keys |= key.bit();
        let suspect = before.chunk.filter(|chunk| chunk.suspect);
        let kept = |writing| after.live() == Some(writing);
        if suspect.is_some_and(|chunk| kept(chunk.writing)) {
            next.broken = Some(Rule::NotHealed);
        }
    }
}

impl State {
    pub(crate) fn has_decided(&self, request: Request) -> bool {
        self.decided & request_bit(request) != 0
    }

    /// The state that stands for all that differ from it in what no longer matters: which writer is
    /// which, what one with nothing left to do had done, orders to delete what cannot come again,
    /// what is known of requests that nobody will repeat.
    fn fold(&mut self, facts: &Facts, bounds: &Bounds) {
        for writer in &mut self.writers {
            writer.fold(facts, bounds);
        }
        self.reader.fold(facts, bounds);
        self.writers.sort_unstable();
        self.strays.sort_unstable();
        let condemned = facts.condemned.iter();
        let named = condemned.fold(0, |mask, one| mask | one.writing.bit());
        self.late |= self.done & !named;
        self.done &= named;
        self.late &= self.shards | self.arriving;
        self.rotten &= self.shards;
        let asked = self.writers.iter().filter_map(Writer::asks);
        let strays = self.strays.iter().filter_map(|stray| match stray {
            Some(Say::Ask(request)) => Some(*request),
            _ => None,
        });
        let repeated = asked.chain(strays).fold(0, |mask, one| mask | request_bit(one));
        self.decided &= repeated;
    }

    /// The state with a stray more; `None` where there may be none.
    pub(crate) fn stray(&self, say: Say) -> Option<Self> {
        let mut next = self.clone();
        next.left.strays = self.left.strays.checked_sub(1)?;
        let place = next.strays.iter_mut().find(|place| place.is_none())?;
        *place = Some(say);
        Some(next)
    }
}

fn request_bit(request: Request) -> u32 {
    let (session, operation) = request.origin;
    1 << ((session - 1) * OPERATIONS + operation - 1)
}

impl Model for World {
    type State = State;
    type Step = Step;

    fn initial(&mut self) -> State {
        State {
            rows: self.replica.first(),
            shards: 0,
            arriving: 0,
            rotten: 0,
            done: 0,
            late: 0,
            writers: self.bounds.writers.map(Writer::new),
            reader: Reader::new(self.bounds.reads, self.bounds.moves),
            strays: [None; 2],
            decided: 0,
            keys: 0,
            left: Left {
                strays: self.bounds.strays,
                late_writes: self.bounds.late_writes,
                leaders: self.bounds.leaders,
                rots: self.bounds.rots,
            },
            broken: None,
        }
    }

    fn successors(&mut self, state: &State, out: &mut Successors) {
        if state.broken == Some(Rule::Halted) {
            return;
        }
        self.writers(state, out);
        self.reader(state, out);
        self.planner(state, out);
        self.misfortunes(state, out);
        for (_, next) in out.iter_mut() {
            let facts = self.replica.facts(next.rows);
            next.fold(&facts, &self.bounds);
        }
    }

    fn check(&mut self, state: &State) -> Result<(), String> {
        let broken = rules::broken(self, state);
        let wanted = self.bounds.wanted;
        let found = broken.into_iter().find(|rule| wanted.is_none_or(|wanted| wanted == *rule));
        found.map_or(Ok(()), |rule| Err(rule.to_string()))
    }

    fn landmarks(&mut self, state: &State, seen: &mut BTreeSet<&'static str>) {
        let facts = self.replica.facts(state.rows);
        let known = |writing| facts.chunk.is_some_and(|chunk| chunk.writing == writing);
        let orphan = |writing: Writing| !facts.is_open(writing.session()) && !known(writing);
        let both = facts.keys == Key::A.bit() | Key::B.bit();
        let marks = [
            (both, "two references"),
            (facts.live().is_some() && !facts.condemned.is_empty(), "one writing kept, one condemned"),
            (state.done != 0, "a node deleted"),
            (state.done != 0 && facts.live().is_some(), "a put during a deletion"),
            (state.late & state.shards != 0, "a late delete about to hit"),
            (Writing::all_in(state.shards).any(orphan), "an orphan"),
            (facts.pins > 0, "a pin"),
            (facts.live().is_some_and(|live| state.rotten & live.bit() != 0), "rot under a key"),
            (facts.chunk.is_some_and(|chunk| chunk.suspect), "a suspect"),
        ];
        seen.extend(marks.iter().filter(|(is_so, _)| *is_so).map(|(_, mark)| mark));
        seen.extend(self.replica.refusals());
    }

    fn show(&mut self, state: &State) -> String {
        let facts = self.replica.facts(state.rows);
        let list = |mask| {
            let names: Vec<String> = Writing::all_in(mask).map(|one| one.to_string()).collect();
            names.join(" ")
        };
        let mut told = format!("rows: {facts}; node: {}", list(state.shards));
        for (name, mask) in [
            ("arriving", state.arriving),
            ("rotten", state.rotten),
            ("deletes done", state.done),
            ("deletes late", state.late),
        ] {
            if mask != 0 {
                told.push_str(&format!("; {name}: {}", list(mask)));
            }
        }
        for stray in state.strays.iter().flatten() {
            told.push_str(&format!("; stray: {stray}"));
        }
        told
    }
}

impl fmt::Display for Step {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Writer(step) => write!(out, "writer: {step}"),
            Self::Reader(step) => write!(out, "reader: {step}"),
            Self::Planner(step) => write!(out, "planner: {step}"),
            Self::Misfortune(step) => write!(out, "misfortune: {step}"),
        }
    }
}
