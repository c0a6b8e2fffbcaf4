//! Writers: gateways with one request at a time.
//!
//! ```text
//!  Out ──Begin──> In ──shard durable──> Written ──ask──> Asking ──committed, answered──> In
//!   ^              └────────────ask (claim, delete)───────^  └─ committed, not answered ─> Asking
//!   └──── crash, from everywhere; a new process begins a new session
//! ```
//!
//! In `Asking` the outcome is unknown: the entry may be on its way, lost, or committed; it is sent again
//! under its number until there is an answer. That an entry is lost is no step, for it leads to where the
//! writer was. Nor is a session's orderly end: it is an expiry and then the crash of one that has nothing
//! to lose. A writer that is never heard of again is one that takes no step.

use std::fmt;

use super::{State, Successors, World};
use crate::bounds::Bounds;
use crate::facts::Facts;
use crate::replica::Told;
use crate::rules::Rule;
use crate::say::{Key, Request, Say, Verb, WRITINGS, Writing};
use crate::without::Without;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Phase {
    Out,
    In,
    Written,
    Asking,
}

/// A writer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Writer {
    phase: Phase,
    session: u8,
    /// Operations and writings of the session so far.
    operations: u8,
    writings: u8,
    writing: Option<Writing>,
    ask: Option<Request>,
    /// Requests it may still begin.
    requests: u8,
}

#[derive(Clone, Copy)]
pub(crate) enum Step {
    Begins(u8),
    Writes(Writing),
    Leaves(Writing),
    Asks(Request),
    Answered(Request, Told),
    Unanswered(Request),
    GivenUp(Request),
    Renews(Writing, u8),
    RetriesIn(u8, Request),
    Crashes(u8),
}

impl Writer {
    pub(crate) fn new(requests: u8) -> Self {
        Self {
            phase: Phase::Out,
            session: 0,
            operations: 0,
            writings: 0,
            writing: None,
            ask: None,
            requests,
        }
    }

    /// What it may say again.
    pub(super) fn asks(&self) -> Option<Request> {
        self.ask
    }

    /// One that can do nothing more, or has only its session's end to be told of, is as one that
    /// crashed; and one that cannot begin again, as one that is not there.
    pub(super) fn fold(&mut self, facts: &Facts, bounds: &Bounds) {
        let ended = self.session != 0 && !facts.is_open(self.session);
        let idle = match self.phase {
            Phase::Out | Phase::Asking => false,
            Phase::In => self.requests == 0 || ended,
            Phase::Written => ended && !bounds.reuse,
        };
        if idle {
            *self = Self::new(self.requests);
        }
        if self.phase == Phase::Out && facts.last >= bounds.sessions {
            *self = Self::new(0);
        }
    }

    fn in_session(self, session: u8) -> Self {
        Self {
            session,
            phase: Phase::In,
            ..Self::new(self.requests)
        }
    }

    /// The next request; it is not tried twice under one number.
    fn ask(&mut self, verb: Verb) -> Request {
        self.operations += 1;
        self.requests -= 1;
        let request = Request {
            session: self.session,
            operation: self.operations,
            origin: (self.session, self.operations),
            verb,
        };
        self.phase = Phase::Asking;
        self.ask = Some(request);
        request
    }
}

/// The writer at a place steps, in a state of its own.
struct Turn<'a> {
    state: &'a State,
    place: usize,
    out: &'a mut Successors,
}

impl Turn<'_> {
    fn take(&mut self, step: Step, from: &State, writer: Writer) {
        let mut next = from.clone();
        if let Some(place) = next.writers.get_mut(self.place) {
            *place = writer;
        }
        self.out.push((super::Step::Writer(step), next));
    }
}

impl World {
    pub(crate) fn writers(&mut self, state: &State, out: &mut Successors) {
        for (place, writer) in state.writers.iter().enumerate() {
            let mut turn = Turn { state, place, out };
            match (writer.phase, writer.ask) {
                (Phase::Out, _) => self.begin(&mut turn, *writer),
                (Phase::In, _) => self.work(&mut turn, *writer),
                (Phase::Written, _) => self.written(&mut turn, *writer),
                (Phase::Asking, Some(request)) => self.asking(&mut turn, *writer, request),
                (Phase::Asking, None) => unreachable!("it asks for nothing"),
            }
            if writer.phase != Phase::Out {
                let step = Step::Crashes(writer.session);
                turn.take(step, state, Writer::new(writer.requests));
            }
        }
    }

    /// A session begun now, where there may be one more.
    pub(crate) fn begun(&mut self, state: &State) -> Option<(State, u8)> {
        let last = self.replica.facts(state.rows).last;
        if last >= self.bounds.sessions {
            return None;
        }
        let (next, _) = self.commit(state, Say::Begin);
        Some((next, last + 1))
    }

    fn begin(&mut self, turn: &mut Turn<'_>, writer: Writer) {
        if writer.requests > 0
            && let Some((next, session)) = self.begun(turn.state)
        {
            turn.take(Step::Begins(session), &next, writer.in_session(session));
        }
    }

    fn work(&self, turn: &mut Turn<'_>, writer: Writer) {
        if writer.requests == 0 {
            return;
        }
        if writer.writings < WRITINGS {
            self.write(turn, writer);
        }
        for key in Key::ALL {
            self.ask(turn, writer, Verb::Delete(key));
            if self.bounds.claims {
                self.ask(turn, writer, Verb::Claim(key));
            }
            if let Some(writing) = writer.writing {
                self.ask(turn, writer, Verb::Put(key, writing));
            }
        }
    }

    fn write(&self, turn: &mut Turn<'_>, writer: Writer) {
        let writing = Writing::new(writer.session, writer.writings + 1);
        let mut next = turn.state.clone();
        let wrote = Writer {
            phase: Phase::Written,
            writings: writer.writings + 1,
            writing: Some(writing),
            ..writer
        };
        if self.lacks(Without::DurableFirst) {
            next.arriving |= writing.bit();
        } else {
            next.shards |= writing.bit();
        }
        turn.take(Step::Writes(writing), &next, wrote);
        if let Some(left) = turn.state.left.late_writes.checked_sub(1) {
            let mut next = turn.state.clone();
            next.left.late_writes = left;
            next.arriving |= writing.bit();
            turn.take(Step::Leaves(writing), &next, Writer::new(writer.requests));
        }
    }

    fn ask(&self, turn: &mut Turn<'_>, writer: Writer, verb: Verb) {
        let mut asking = writer;
        let request = asking.ask(verb);
        if self.lacks(Without::AnsweringAfterCommit) {
            let (next, writer) = self.answered(turn.state, asking, request, Told::Done);
            turn.take(Step::Answered(request, Told::Done), &next, writer);
        } else {
            turn.take(Step::Asks(request), turn.state, asking);
        }
    }

    fn written(&mut self, turn: &mut Turn<'_>, writer: Writer) {
        let Some(writing) = writer.writing else {
            return;
        };
        if writer.requests > 0 {
            for key in Key::ALL {
                self.ask(turn, writer, Verb::Put(key, writing));
            }
        }
        if self.bounds.reuse
            && let Some((next, session)) = self.begun(turn.state)
        {
            let renewed = Writer {
                phase: Phase::Written,
                writing: Some(writing),
                ..writer.in_session(session)
            };
            turn.take(Step::Renews(writing, session), &next, renewed);
        }
    }

    fn asking(&mut self, turn: &mut Turn<'_>, writer: Writer, request: Request) {
        let (next, told) = self.commit(turn.state, Say::Ask(request));
        turn.take(Step::Unanswered(request), &next, writer);
        let (next, answered) = self.answered(&next, writer, request, told);
        turn.take(Step::Answered(request, told), &next, answered);
        if let Some(next) = turn.state.stray(Say::Ask(request)) {
            turn.take(Step::GivenUp(request), &next, Writer::new(writer.requests));
        }
        if self.lacks(Without::NoRetryInNewSession) {
            self.retry(turn, writer, request);
        }
    }

    /// The client is answered; a request is over, whatever the answer.
    fn answered(
        &self,
        state: &State,
        writer: Writer,
        request: Request,
        told: Told,
    ) -> (State, Writer) {
        let mut next = state.clone();
        if told == Told::Done && !state.has_decided(request) {
            next.broken = Some(Rule::AnsweredUndone);
        }
        let writer = Writer {
            phase: Phase::In,
            writing: writer.writing.filter(|_| self.bounds.reuse),
            ask: None,
            ..writer
        };
        (next, writer)
    }

    fn retry(&mut self, turn: &mut Turn<'_>, writer: Writer, request: Request) {
        if let Some((next, session)) = self.begun(turn.state) {
            let request = Request {
                session,
                operation: 1,
                ..request
            };
            let retrying = Writer {
                phase: Phase::Asking,
                operations: 1,
                ask: Some(request),
                ..writer.in_session(session)
            };
            turn.take(Step::RetriesIn(session, request), &next, retrying);
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Begins(session) => write!(out, "begins session {session}"),
            Self::Writes(writing) => write!(out, "writes the shard of {writing}"),
            Self::Leaves(writing) => write!(out, "sends the shard of {writing} and crashes"),
            Self::Asks(request) => write!(out, "asks for {request}"),
            Self::Answered(request, told) => write!(out, "{request} is answered {told:?}"),
            Self::Unanswered(request) => write!(out, "{request} is committed, the answer is lost"),
            Self::GivenUp(request) => write!(out, "crashes, {request} still on its way"),
            Self::Renews(writing, session) => write!(out, "takes {writing} into session {session}"),
            Self::RetriesIn(session, request) => {
                write!(out, "begins session {session} and tries again as {request}")
            }
            Self::Crashes(session) => write!(out, "crashes, in session {session}"),
        }
    }
}
