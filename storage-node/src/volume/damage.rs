//! Shards found damaged, kept until the repair planner takes them.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use cairn_model::{ChunkId, Incarnation};

use crate::tuning::DAMAGE_KEPT;

/// A shard whose bytes failed their check or could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The writing.
    pub incarnation: Incarnation,
    /// Which shard.
    pub shard: u8,
    /// The chunk.
    pub chunk: ChunkId,
    /// What was seen.
    pub reason: String,
}

/// A bounded log: one report per shard, the oldest dropped first.
#[derive(Debug, Default)]
pub(super) struct DamageLog(Mutex<VecDeque<Damage>>);

impl DamageLog {
    pub(super) fn add(&self, damage: Damage) {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        log.retain(|old| (old.incarnation, old.shard) != (damage.incarnation, damage.shard));
        if log.len() == DAMAGE_KEPT {
            log.pop_front();
        }
        log.push_back(damage);
    }

    pub(super) fn take(&self) -> Vec<Damage> {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        log.drain(..).collect()
    }
}
