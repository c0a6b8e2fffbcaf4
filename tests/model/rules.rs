//! What must hold in every state.

use std::fmt;

use cairn_metadata::keyspace::chunk::ChunkState;

use crate::world::reader::Need;
use crate::world::{State, World};

/// A rule, by its breach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Rule {
    /// No shard is deleted that a live row names. With one copy this is also: what was acknowledged can be
    /// read.
    LiveGone,
    /// A reader in its session never finds its chunk gone.
    ReaderGone,
    /// A commit of an ended session changes nothing.
    EndedApplied,
    /// One request takes effect once at most.
    DoneTwice,
    /// Acknowledged is committed.
    AnsweredUndone,
    /// Every key is as the puts and deletes left it that took effect, in that order.
    KeyWrong,
    /// References are counted right.
    Miscounted,
    /// What rows rely on is not on its way out.
    LiveCondemned,
    /// The state machine goes on.
    Halted,
    /// Live, Condemned, Deleting, gone: in that order.
    TakenBack,
    /// Uploading again heals.
    NotHealed,
    /// When everybody has gone, what rows name is there and nothing else.
    Garbage,
}

impl fmt::Display for Rule {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::LiveGone => "a live row names a writing whose shard is gone",
            Self::ReaderGone => "a reader in its open session finds its chunk gone",
            Self::EndedApplied => "a commit of an ended session was applied",
            Self::DoneTwice => "one request took effect twice",
            Self::AnsweredUndone => "a request was acknowledged and is not committed",
            Self::KeyWrong => "a key is not as the requests left it",
            Self::Miscounted => "references differ from the rows that hold them",
            Self::LiveCondemned => "a writing is both live and condemned",
            Self::Halted => "the state machine halts over rows that contradict each other",
            Self::TakenBack => "a committed deletion was taken back",
            Self::NotHealed => "an upload was answered with a writing marked suspect",
            Self::Garbage => "garbage is left when everybody has gone",
        })
    }
}

/// The rules that a state breaks.
pub(crate) fn broken(world: &mut World, state: &State) -> Vec<Rule> {
    let facts = world.replica.facts(state.rows);
    let has = |writing: crate::say::Writing| state.shards & writing.bit() != 0;
    let mut broken: Vec<Rule> = state.broken.into_iter().collect();
    if facts.live().is_some_and(|live| !has(live)) {
        broken.push(Rule::LiveGone);
    }
    let (need, session) = state.reader.need();
    let found = match need {
        Need::Nothing => true,
        Need::Chunk => facts.chunk.is_some_and(|chunk| has(chunk.writing)),
        Need::Writing(writing) => has(writing),
    };
    if !found && facts.is_open(session) {
        broken.push(Rule::ReaderGone);
    }
    if facts.keys != state.keys {
        broken.push(Rule::KeyWrong);
    }
    let counted = facts.chunk.map_or((0, false), |chunk| (chunk.refs, chunk.state == ChunkState::Live));
    if counted != (facts.references, facts.references > 0) {
        broken.push(Rule::Miscounted);
    }
    if facts.condemned.iter().any(|one| facts.live() == Some(one.writing)) {
        broken.push(Rule::LiveCondemned);
    }
    if state.broken != Some(Rule::Halted) && wants_settling(world) {
        broken.extend(world.settle(state.rows, state.shards));
        broken.extend(world.settle(state.rows, state.shards | state.arriving));
    }
    broken
}

fn wants_settling(world: &World) -> bool {
    world.bounds.wanted.is_none_or(|wanted| wanted == Rule::Garbage)
}
