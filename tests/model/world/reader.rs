//! A reader: a gateway that reads an object, perhaps for hours.
//!
//! ```text
//!  Out ──Begin──> In ──manifest read──> Knows ──chunk row read──> Holding ──read to the end──> In
//!                                                                   │  ^
//!                                                 newer session begun  pin committed, old one left
//!                                                                   └> Moving
//! ```

use std::fmt;

use super::{State, Successors, World};
use crate::bounds::Bounds;
use crate::facts::Facts;
use crate::replica::Told;
use crate::say::{Key, Request, Say, Verb, Writing};
use crate::without::Without;

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Phase {
    Out,
    /// It has read a manifest, and is in no session.
    Early,
    In,
    Knows,
    Holding(Writing),
    Moving(Writing),
}

/// A reader.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Reader {
    phase: Phase,
    session: u8,
    /// The session it moves to; 0 where it does not.
    newer: u8,
    /// Operations in its session.
    operations: u8,
    reads: u8,
    moves: u8,
}

#[derive(Clone, Copy)]
pub(crate) enum Step {
    Begins(u8),
    ReadsManifest(Key),
    ReadsRow(Writing),
    Suspects(Writing),
    BeginsNewer(u8),
    Pins(u8, Told),
    PinsUnanswered(u8),
    ReadsOn,
    Ends,
    Crashes,
}

/// What a reader relies on.
pub(crate) enum Need {
    Nothing,
    /// Whatever the chunk's row names.
    Chunk,
    Writing(Writing),
}

impl Reader {
    pub(crate) fn new(reads: u8, moves: u8) -> Self {
        Self {
            phase: Phase::Out,
            session: 0,
            newer: 0,
            operations: 0,
            reads,
            moves,
        }
    }

    /// One that has read all, or has no session any more, is as one that crashed; and one that cannot
    /// begin again, as one that is not there.
    pub(super) fn fold(&mut self, facts: &Facts, bounds: &Bounds) {
        let ended = self.session != 0 && !facts.is_open(self.session);
        let idle = match self.phase {
            Phase::Out | Phase::Early | Phase::Moving(_) => false,
            Phase::In => self.reads == 0 || ended,
            Phase::Knows | Phase::Holding(_) => ended,
        };
        if idle {
            *self = Self::new(self.reads, self.moves);
        }
        if self.phase == Phase::Out && (self.reads == 0 || facts.last >= bounds.sessions) {
            *self = Self::new(0, 0);
        }
    }

    /// What it relies on, and the session that is to hold it.
    pub(crate) fn need(&self) -> (Need, u8) {
        let need = match self.phase {
            Phase::Out | Phase::Early | Phase::In => Need::Nothing,
            Phase::Knows => Need::Chunk,
            Phase::Holding(writing) | Phase::Moving(writing) => Need::Writing(writing),
        };
        (need, self.session)
    }
}

fn take(out: &mut Successors, step: Step, from: &State, reader: Reader) {
    let mut next = from.clone();
    next.reader = reader;
    out.push((super::Step::Reader(step), next));
}

impl World {
    pub(crate) fn reader(&mut self, state: &State, out: &mut Successors) {
        let reader = state.reader;
        match reader.phase {
            Phase::Out => {
                if reader.reads > 0 {
                    self.enter(state, Phase::In, out);
                    if self.lacks(Without::EnteringFirst) {
                        self.read_manifest(state, Phase::Early, out);
                    }
                }
                return;
            }
            Phase::Early => self.enter(state, Phase::Knows, out),
            Phase::In => {
                if reader.reads > 0 {
                    self.read_manifest(state, Phase::Knows, out);
                }
            }
            Phase::Knows => self.read_row(state, out),
            Phase::Holding(writing) => self.hold(state, writing, out),
            Phase::Moving(writing) => self.pin(state, writing, out),
        }
        take(out, Step::Crashes, state, Reader::new(reader.reads, reader.moves));
    }

    fn enter(&mut self, state: &State, phase: Phase, out: &mut Successors) {
        if let Some((next, session)) = self.begun(state) {
            let entered = Reader {
                phase,
                session,
                ..state.reader
            };
            take(out, Step::Begins(session), &next, entered);
        }
    }

    fn read_manifest(&self, state: &State, phase: Phase, out: &mut Successors) {
        let facts = self.replica.facts(state.rows);
        // Both name the chunk, and a reader need not know which it read.
        if let Some(key) = Key::ALL.into_iter().find(|key| facts.has(*key)) {
            let knows = Reader {
                phase,
                reads: state.reader.reads - 1,
                ..state.reader
            };
            take(out, Step::ReadsManifest(key), state, knows);
        }
    }

    fn read_row(&self, state: &State, out: &mut Successors) {
        if let Some(chunk) = self.replica.facts(state.rows).chunk {
            let holding = Reader {
                phase: Phase::Holding(chunk.writing),
                ..state.reader
            };
            take(out, Step::ReadsRow(chunk.writing), state, holding);
        }
    }

    fn hold(&mut self, state: &State, writing: Writing, out: &mut Successors) {
        let reader = state.reader;
        let done = Reader {
            phase: Phase::In,
            ..reader
        };
        take(out, Step::Ends, state, done);
        if state.rotten & writing.bit() != 0 {
            let marking = Reader {
                operations: reader.operations + 1,
                ..reader
            };
            let request = request(&marking, reader.session, Verb::Suspect(writing));
            let (next, _) = self.commit(state, Say::Ask(request));
            // Once is enough: the next time nothing changes.
            take(out, Step::Suspects(writing), &next, reader);
        }
        if reader.moves > 0
            && let Some((next, newer)) = self.begun(state)
        {
            let moving = Reader {
                moves: reader.moves - 1,
                ..reader
            };
            let moving = match self.lacks(Without::PinningBeforeLeaving) {
                true => Reader {
                    session: newer,
                    ..moving
                },
                false => Reader {
                    phase: Phase::Moving(writing),
                    newer,
                    ..moving
                },
            };
            take(out, Step::BeginsNewer(newer), &next, moving);
        }
    }

    fn pin(&mut self, state: &State, writing: Writing, out: &mut Successors) {
        let reader = state.reader;
        let verb = Verb::Pin {
            from: reader.session,
        };
        let request = request(&reader, reader.newer, verb);
        let (next, told) = self.commit(state, Say::Ask(request));
        take(out, Step::PinsUnanswered(reader.newer), &next, reader);
        let holding = Reader {
            phase: Phase::Holding(writing),
            newer: 0,
            ..reader
        };
        let answered = match told {
            Told::Done => Reader {
                session: reader.newer,
                operations: 1,
                ..holding
            },
            // It stays in the old one.
            Told::Refused(_) | Told::Halted => holding,
        };
        take(out, Step::Pins(reader.newer, told), &next, answered);
        if let Some(late) = state.stray(Say::Ask(request)) {
            take(out, Step::ReadsOn, &late, holding);
        }
    }
}

fn request(reader: &Reader, session: u8, verb: Verb) -> Request {
    let operation = match verb {
        // The first in the newer session.
        Verb::Pin { .. } => 1,
        _ => reader.operations,
    };
    Request {
        session,
        operation,
        origin: (session, operation),
        verb,
    }
}

impl fmt::Display for Step {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Begins(session) => write!(out, "begins session {session}"),
            Self::ReadsManifest(key) => write!(out, "reads the manifest of {}", key.name()),
            Self::ReadsRow(writing) => write!(out, "reads the chunk row, which names {writing}"),
            Self::Suspects(writing) => write!(out, "finds {writing} bad and marks it"),
            Self::BeginsNewer(session) => write!(out, "begins session {session} to move to it"),
            Self::Pins(session, told) => write!(out, "pins the chunk in session {session}: {told:?}"),
            Self::PinsUnanswered(session) => {
                write!(out, "pins the chunk in session {session}, the answer is lost")
            }
            Self::ReadsOn => write!(out, "gives up its pin, which is still on its way"),
            Self::Ends => write!(out, "has read all"),
            Self::Crashes => write!(out, "crashes"),
        }
    }
}
