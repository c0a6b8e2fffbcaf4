//! From what the clients saw to one order for each register, or the reason why there is none.
//!
//! A sight becomes the set of writes that may have been seen. What a copy wrote is what its source
//! may have held: all that any write before the copy's answer may have put there, narrowed by the
//! ETag once that is known. And a copy whose ETag is known has looked at its source.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::event::{Ended, Event, Like, Made, Register, Sight, Thing, Time, What};
use crate::linear::{self, Operation, Outcome, Span, States, Value};

/// All events of all registers.
pub(super) type Registers = BTreeMap<Register, Vec<Event>>;

/// What is wrong: a text for each register that no order explains.
pub(super) fn violations(registers: &Registers) -> Vec<String> {
    let sources = looks_at_sources(registers);
    let things = things(registers);
    let mut found = Vec::new();
    for (register, events) in registers {
        let mut events = events.clone();
        events.extend(sources.get(register).cloned().unwrap_or_default());
        events.sort_by_key(|event| event.time);
        let writes = Writes::of(&events, &things);
        let spans: Vec<Span> = events.iter().map(|event| writes.span(event)).collect();
        if let Err(violation) = linear::check(&spans) {
            let lines: Vec<String> = events.iter().map(ToString::to_string).collect();
            found.push(format!("{register}: {violation}\n{}", lines.join("\n")));
        }
    }
    found
}

/// A copy as the checks need it.
struct Copy<'e> {
    id: Value,
    source: &'e Register,
    label: Option<u64>,
    etag: Option<String>,
    called: u64,
    /// By then it had happened, if that is known.
    happened: Option<u64>,
}

/// All copies; the ETag of one is known from its answer, or from the first who saw its label.
fn copies(registers: &Registers) -> Vec<Copy<'_>> {
    let mut found = Vec::new();
    for events in registers.values() {
        for event in events {
            let What::Write {
                id,
                made:
                    Made::Copy {
                        source,
                        label,
                        etag,
                    },
                ended,
                ..
            } = &event.what
            else {
                continue;
            };
            let answered = (*ended == Ended::Done).then_some(event.time.answered);
            let seen = label.and_then(|label| first_sight(events, label));
            found.push(Copy {
                id: *id,
                source,
                label: *label,
                etag: etag.clone().or(seen.clone().map(|(_, etag)| etag)),
                called: event.time.called,
                happened: answered.or(seen.map(|(answered, _)| answered)),
            });
        }
    }
    found
}

/// When somebody who saw this label was first answered, and the ETag he saw.
fn first_sight(events: &[Event], label: u64) -> Option<(u64, String)> {
    let seen = events.iter().filter_map(|event| match &event.what {
        What::Read(Sight::Present(like)) if like.label == Some(label) => {
            let etag = like.etags.as_ref()?.first()?.clone();
            Some((event.time.answered, etag))
        }
        _ => None,
    });
    seen.min()
}

/// What copies that happened saw of their sources.
fn looks_at_sources(registers: &Registers) -> Registers {
    let mut looks = Registers::new();
    for copy in copies(registers) {
        if let (Some(etag), Some(answered)) = (&copy.etag, copy.happened) {
            let event = Event {
                time: Time {
                    client: copy.id,
                    called: copy.called,
                    answered,
                },
                what: What::Read(Sight::Present(Like::etag(etag))),
            };
            looks.entry(copy.source.clone()).or_default().push(event);
        }
    }
    looks
}

/// What each write may have left behind; none where it may be anything.
type Things = BTreeMap<Value, Option<BTreeSet<Thing>>>;

fn things(registers: &Registers) -> Things {
    let mut things = Things::new();
    // Per register: each write and when it was called.
    let mut writes: BTreeMap<&Register, Vec<(Value, u64)>> = BTreeMap::new();
    for (register, events) in registers {
        for event in events {
            if let What::Write { id, made, .. } = &event.what {
                let called = (*id, event.time.called);
                writes.entry(register).or_default().push(called);
                let known = match made {
                    Made::Thing(thing) => Some(BTreeSet::from([thing.clone()])),
                    Made::Copy { .. } => Some(BTreeSet::new()),
                    Made::Anything => None,
                };
                things.insert(*id, known);
            }
        }
    }
    let copies = copies(registers);
    loop {
        let count = |things: &Things| things.values().flatten().map(BTreeSet::len).sum::<usize>();
        let before = count(&things);
        for copy in &copies {
            let end = copy.happened.unwrap_or(u64::MAX);
            let earlier = writes.get(copy.source).into_iter().flatten();
            let earlier = earlier.filter(|(id, called)| *called < end && *id != copy.id);
            let held = earlier.filter_map(|(id, _)| things.get(id)?.as_ref());
            let held = held.flatten();
            let fits = |thing: &&Thing| copy.etag.as_ref().is_none_or(|etag| *etag == thing.etag);
            let made: Vec<Thing> = held
                .filter(fits)
                .map(|thing| Thing {
                    label: copy.label.or(thing.label),
                    ..thing.clone()
                })
                .collect();
            if let Some(Some(things)) = things.get_mut(&copy.id) {
                things.extend(made);
            }
        }
        if count(&things) == before {
            return things;
        }
    }
}

/// The writes of one register, and what each may have left behind.
struct Writes<'t>(Vec<(Value, &'t Option<BTreeSet<Thing>>)>);

impl<'t> Writes<'t> {
    fn of(events: &[Event], things: &'t Things) -> Self {
        let ids = events.iter().filter_map(|event| match &event.what {
            What::Write { id, .. } => Some(id),
            _ => None,
        });
        Self(ids.filter_map(|id| Some((*id, things.get(id)?))).collect())
    }

    /// All that may have been seen.
    fn states(&self, sight: &Sight) -> States {
        let (absent, like) = match sight {
            Sight::Absent => (true, None),
            Sight::Present(like) => (false, Some(like)),
            Sight::AbsentOr(like) => (true, Some(like)),
        };
        let present = like.into_iter().flat_map(|like| {
            let fits = |things: &BTreeSet<Thing>| things.iter().any(|thing| like.fits(thing));
            let may_fit = move |things: &Option<_>| things.as_ref().is_none_or(fits);
            self.0.iter().filter(move |(_, things)| may_fit(things))
        });
        let present = present.map(|(id, _)| Some(*id));
        Arc::new(absent.then_some(None).into_iter().chain(present).collect())
    }

    fn span(&self, event: &Event) -> Span {
        let (operation, outcome) = match &event.what {
            What::Read(sight) => {
                let outcome = Outcome::SawOneOf(self.states(sight));
                (Operation::Read, outcome)
            }
            What::Write {
                id, only_if, ended, ..
            } => self.change(Some(*id), only_if.as_ref(), *ended),
            What::Remove { only_if, ended } => self.change(None, only_if.as_ref(), *ended),
        };
        Span {
            client: event.time.client,
            operation,
            outcome,
            called: event.time.called,
            answered: event.time.answered,
        }
    }

    fn change(
        &self,
        to: Option<Value>,
        only_if: Option<&Sight>,
        ended: Ended,
    ) -> (Operation, Outcome) {
        let operation = match only_if {
            None => Operation::Write(to),
            Some(sight) => Operation::SwapAmong {
                expected: self.states(sight),
                to,
            },
        };
        let outcome = match ended {
            Ended::Unknown => Outcome::Unknown,
            Ended::IfMet if only_if.is_some() => Outcome::Either,
            Ended::Done | Ended::IfMet => Outcome::Done,
        };
        (operation, outcome)
    }
}

#[cfg(test)]
mod tests;
