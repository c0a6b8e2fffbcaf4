//! Which moves to begin, to turn round and to end. Pure.
//!
//! ```text
//!   plan_moves ── off lost disks, partitions that lost most first ──> BeginMove
//!   a move to a disk that is lost ─────────────────────────────────> AbandonMove
//!   pass 1, at once:   every shard of the moving slots is made on `next`
//!   pass 2, once every session up to the gate has ended: all of them are looked at again
//!                      none failed ──> ready ──> CutOver, again until it is done
//!   a lost disk that no row names ──> RemoveDisk (an emptied one waits for its operator's word)
//! ```
//!
//! One pass over the chunk rows serves all moving slots.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use cairn_model::{DiskId, limits};
use cairn_placement::{Move, MoveReason, PlacementError, plan_moves};
use cairn_wire::metadata::entry::Command;
use cairn_wire::metadata::{
    AbandonMove, BeginMove, ClusterAnswer, CutOver, RemoveDisk, SessionsAnswer,
};
use cairn_world::{Bug, planted};

use super::orders::Seats;
use super::placement;

/// A slot that moves: where to, and the last session begun before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moving {
    /// The partition.
    pub partition: u32,
    /// The slot, which is the shard.
    pub slot: u8,
    /// Where it goes.
    pub next: DiskId,
    /// That session and all before it must have ended before the pass that counts.
    pub gate: u64,
}

/// The moves under way.
#[must_use]
pub fn under_way(cluster: &ClusterAnswer, seats: &Seats) -> BTreeSet<Moving> {
    let moving = cluster.moves.iter().filter_map(|found| {
        let slot = u8::try_from(found.slot).ok()?;
        let row = seats.table.row(found.partition)?;
        let next = row.slots.get(usize::from(slot))?.next?;
        Some(Moving {
            partition: found.partition,
            slot,
            next,
            gate: found.session,
        })
    });
    moving.collect()
}

/// Moves that end at a disk which never comes back.
#[must_use]
pub fn abandon(moving: &BTreeSet<Moving>, seats: &Seats) -> Vec<Command> {
    let hopeless = moving.iter().filter(|one| seats.lost.contains(&one.next));
    // A row has one epoch: its second slot waits for the next view.
    let mut rows = BTreeSet::new();
    hopeless
        .filter(|one| rows.insert(one.partition))
        .filter_map(|one| {
            Some(Command::AbandonMove(AbandonMove {
                partition: one.partition,
                slot: u32::from(one.slot),
                epoch: seats.table.row(one.partition)?.epoch,
            }))
        })
        .collect()
}

/// Moves to begin now, at most as many as may be under way.
///
/// # Errors
/// Too few failure domains take data: the disks that hold it must do.
pub fn begin(cluster: &ClusterAnswer, seats: &Seats) -> Result<Vec<Command>, PlacementError> {
    let Some((_, level)) = placement::class(cluster) else {
        return Ok(Vec::new());
    };
    let view = placement::candidates(cluster);
    let seed = placement::seed(&cluster.cluster);
    let mut planned = plan_moves(&view, level, &seats.table, seed)?;
    let urgent = |step: &Move| seats.lost.contains(&step.from);
    let mut lost_slots: BTreeMap<u32, usize> = BTreeMap::new();
    for step in planned.iter().filter(|step| urgent(step)) {
        *lost_slots.entry(step.partition).or_default() += 1;
    }
    let endangered = |step: &Move| lost_slots.get(&step.partition).copied().unwrap_or(0);
    planned.sort_by_key(|step| (!urgent(step), std::cmp::Reverse(endangered(step)), *step));
    let mut under_way = cluster.moves.len();
    let mut rows = BTreeSet::new();
    let mut commands = Vec::new();
    for step in planned {
        let most = match step.reason {
            MoveReason::Leaving if urgent(&step) => limits::MOVES_URGENT_MAX,
            _ => limits::MOVES_MAX,
        };
        let (Some(row), true) = (seats.table.row(step.partition), under_way < most) else {
            continue;
        };
        if !rows.insert(step.partition) {
            continue;
        }
        under_way += 1;
        commands.push(Command::BeginMove(BeginMove {
            partition: step.partition,
            slot: u32::from(step.slot),
            epoch: row.epoch,
            from: Bytes::copy_from_slice(&step.from.0),
            to: Bytes::copy_from_slice(&step.to.0),
        }));
    }
    Ok(commands)
}

/// Lost disks that no partition row names any more.
#[must_use]
pub fn removable(cluster: &ClusterAnswer, seats: &Seats) -> Vec<Command> {
    let named: BTreeSet<DiskId> = seats
        .table
        .rows()
        .iter()
        .flat_map(|row| row.disks())
        .collect();
    let lost = cluster.leaving.iter().filter(|one| one.lost);
    lost.filter(|one| placement::disk_id(&one.disk).is_some_and(|disk| !named.contains(&disk)))
        .map(|one| {
            Command::RemoveDisk(RemoveDisk {
                disk: one.disk.clone(),
            })
        })
        .collect()
}

/// What was found of the moves so far, by this leader in this term.
#[derive(Debug, Default)]
pub struct Progress {
    /// Made on `next` once, by a pass of any time.
    made: BTreeSet<Moving>,
    /// All there is was good on `next` at a pass that counts.
    ready: BTreeSet<Moving>,
}

/// One pass over the chunk rows.
#[derive(Debug)]
pub struct Pass {
    moving: BTreeMap<(u32, u8), Moving>,
    failed: BTreeSet<Moving>,
    /// The oldest session open when it began.
    oldest: u64,
    /// Where the next page begins.
    pub after: Bytes,
}

/// Whether every session up to the gate has ended.
fn is_past(oldest: u64, one: &Moving) -> bool {
    oldest > one.gate || planted(Bug::CutOverWithoutSessions)
}

impl Progress {
    /// Forgets moves that are over, or are others by now.
    pub fn keep(&mut self, moving: &BTreeSet<Moving>) {
        self.made.retain(|one| moving.contains(one));
        self.ready.retain(|one| moving.contains(one));
    }

    /// The pass to begin, given sessions that were read after `moving` and before any chunk row.
    #[must_use]
    pub fn pass(
        &self,
        moving: &BTreeSet<Moving>,
        sessions: &SessionsAnswer,
        seats: &Seats,
    ) -> Option<Pass> {
        let oldest = sessions.open.iter().copied().min().unwrap_or(u64::MAX);
        let due = moving.iter().filter(|one| {
            let counts = is_past(oldest, one) && !self.ready.contains(one);
            seats.reachable.contains(&one.next) && (counts || !self.made.contains(one))
        });
        let moving: BTreeMap<_, _> = due.map(|one| ((one.partition, one.slot), *one)).collect();
        (!moving.is_empty()).then(|| Pass {
            moving,
            failed: BTreeSet::new(),
            oldest,
            after: Bytes::new(),
        })
    }

    /// Takes the result of a whole pass; tells whether every shard was good.
    pub fn finish(&mut self, pass: Pass) -> bool {
        for one in pass.moving.into_values() {
            if pass.failed.contains(&one) && !planted(Bug::CutOverUnverified) {
                continue;
            }
            self.made.insert(one);
            if is_past(pass.oldest, &one) {
                self.ready.insert(one);
            }
        }
        pass.failed.is_empty()
    }

    /// Moves to end. A row has one epoch: its second slot waits for the next view.
    #[must_use]
    pub fn cut_overs(&self, seats: &Seats) -> Vec<Command> {
        let mut rows = BTreeSet::new();
        let ready = self.ready.iter().filter(|one| rows.insert(one.partition));
        ready
            .filter_map(|one| {
                Some(Command::CutOver(CutOver {
                    partition: one.partition,
                    slot: u32::from(one.slot),
                    epoch: seats.table.row(one.partition)?.epoch,
                }))
            })
            .collect()
    }
}

impl Pass {
    /// The partitions it looks at.
    #[must_use]
    pub fn partitions(&self) -> Vec<u32> {
        let mut partitions: Vec<u32> = self.moving.keys().map(|(number, _)| *number).collect();
        partitions.dedup();
        partitions
    }

    /// The moving slots of a partition that are still what they were when the pass began.
    #[must_use]
    pub fn slots(&self, partition: u32, moving: &BTreeSet<Moving>) -> Vec<u8> {
        let slots = self.moving.range((partition, 0)..=(partition, u8::MAX));
        slots
            .filter(|(_, one)| moving.contains(one))
            .map(|((_, slot), _)| *slot)
            .collect()
    }

    /// Something of the chunk rows is not understood.
    pub fn fail_all(&mut self) {
        self.failed.extend(self.moving.values().copied());
    }

    /// A shard of a slot is not good where it moves to.
    pub fn fail(&mut self, partition: u32, slot: u8) {
        if let Some(one) = self.moving.get(&(partition, slot)) {
            self.failed.insert(*one);
        }
    }
}

#[cfg(test)]
mod tests;
