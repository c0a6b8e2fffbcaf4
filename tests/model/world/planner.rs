//! The leader's planner, at its worst: it proposes whatever it could ever propose, at any time. That a
//! session is silent, a deletion due or a shard an orphan is judged by apply alone. Its memory is which
//! deletes the node has carried out; a new leader has none.

use std::fmt;

use super::{State, Successors, World};
use crate::facts::Facts;
use crate::say::{Say, Writing};
use crate::without::Without;

#[derive(Clone, Copy)]
pub(crate) enum Step {
    Commits(Say),
    GivesUp(Say),
    NodeDeletes(Writing),
    NodeDeletesLate(Writing),
    NodeSweeps(Writing),
}

fn take(out: &mut Successors, step: Step, next: State) {
    out.push((super::Step::Planner(step), next));
}

impl World {
    pub(crate) fn planner(&mut self, state: &State, out: &mut Successors) {
        let facts = self.replica.facts(state.rows);
        for session in facts.open_sessions() {
            self.propose(state, Say::End(session), out);
        }
        for writing in Writing::all_in(state.shards) {
            self.propose(state, Say::Judge(writing), out);
        }
        for one in &facts.condemned {
            if !one.deleting {
                self.propose(state, Say::BeginDelete(one.epoch, one.writing), out);
            }
            let named = one.deleting || self.lacks(Without::CommittedDeletes);
            if named && state.done & one.writing.bit() == 0 {
                let mut next = state.clone();
                self.delete(&mut next, one.writing);
                next.done |= one.writing.bit();
                take(out, Step::NodeDeletes(one.writing), next);
            }
            if one.deleting && state.done & one.writing.bit() != 0 {
                self.propose(state, Say::FinishDelete(one.epoch, one.writing), out);
            }
        }
        self.node(state, &facts, out);
    }

    fn propose(&mut self, state: &State, say: Say, out: &mut Successors) {
        let (mut next, _) = self.commit(state, say);
        if let Say::FinishDelete(_, writing) = say {
            // It thinks of it no more; a copy of the order may still be about.
            next.done &= !writing.bit();
            next.late |= writing.bit();
        }
        if next != *state {
            take(out, Step::Commits(say), next);
        }
        if let Some(next) = state.stray(say) {
            take(out, Step::GivesUp(say), next);
        }
    }

    fn node(&self, state: &State, facts: &Facts, out: &mut Successors) {
        // What was carried out may arrive once more, too.
        for writing in Writing::all_in(state.late | state.done) {
            let mut next = state.clone();
            self.delete(&mut next, writing);
            if next != *state {
                take(out, Step::NodeDeletesLate(writing), next);
            }
        }
        if self.lacks(Without::NamedDeletes) {
            let named = |writing| facts.chunk.is_some_and(|chunk| chunk.writing == writing);
            for writing in Writing::all_in(state.shards).filter(|writing| !named(*writing)) {
                let mut next = state.clone();
                next.shards &= !writing.bit();
                take(out, Step::NodeSweeps(writing), next);
            }
        }
    }

    fn delete(&self, state: &mut State, writing: Writing) {
        if self.lacks(Without::DeletesByIncarnation) {
            state.shards = 0;
        } else {
            state.shards &= !writing.bit();
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Commits(say) => write!(out, "{say} is committed"),
            Self::GivesUp(say) => write!(out, "gives up {say}, which is still on its way"),
            Self::NodeDeletes(writing) => write!(out, "has the node delete {writing}"),
            Self::NodeDeletesLate(writing) => write!(out, "an old order to delete {writing} arrives"),
            Self::NodeSweeps(writing) => write!(out, "the node finds no row for {writing} and deletes it"),
        }
    }
}
