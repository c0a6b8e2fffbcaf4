//! What nobody does: leaders that change, messages that come late, shards that rot.

use std::fmt;

use super::{State, Successors, World};
use crate::say::{Say, Writing};

#[derive(Clone, Copy)]
pub(crate) enum Step {
    LeaderChanges,
    StrayCommitted(Say),
    ShardArrives(Writing),
    ShardRots(Writing),
}

fn take(out: &mut Successors, step: Step, next: State) {
    out.push((super::Step::Misfortune(step), next));
}

impl World {
    pub(crate) fn misfortunes(&mut self, state: &State, out: &mut Successors) {
        self.change_leader(state, out);
        for (place, stray) in state.strays.iter().enumerate() {
            if let Some(say) = *stray {
                let (mut next, _) = self.commit(state, say);
                if let Some(place) = next.strays.get_mut(place) {
                    *place = None;
                }
                take(out, Step::StrayCommitted(say), next);
            }
        }
        for writing in Writing::all_in(state.arriving) {
            let mut next = state.clone();
            next.arriving &= !writing.bit();
            next.shards |= writing.bit();
            take(out, Step::ShardArrives(writing), next);
        }
        if let Some(left) = state.left.rots.checked_sub(1) {
            for writing in Writing::all_in(state.shards) {
                let mut next = state.clone();
                next.left.rots = left;
                next.rotten |= writing.bit();
                take(out, Step::ShardRots(writing), next);
            }
        }
    }
}

impl World {
    /// The leader crashes or is deposed. What it had committed stays. The next one has no memory, and
    /// any order that the old one might have sent may still arrive. An entry it had not committed is
    /// lost unless it was given up as a stray: whoever waits for it is where he was before it was
    /// sent, so nothing is to be done for that.
    fn change_leader(&self, state: &State, out: &mut Successors) {
        let Some(left) = state.left.leaders.checked_sub(1) else {
            return;
        };
        let facts = self.replica.facts(state.rows);
        let deleting = facts.condemned.iter().filter(|one| one.deleting);
        let mut next = state.clone();
        next.left.leaders = left;
        next.late |= deleting.fold(state.done, |mask, one| mask | one.writing.bit());
        next.done = 0;
        if (next.late, next.done) != (state.late, state.done) {
            take(out, Step::LeaderChanges, next);
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LeaderChanges => write!(out, "the leader changes"),
            Self::StrayCommitted(say) => write!(out, "{say}, given up long ago, is committed"),
            Self::ShardArrives(writing) => write!(out, "the shard of {writing} arrives late"),
            Self::ShardRots(writing) => write!(out, "the shard of {writing} rots"),
        }
    }
}
