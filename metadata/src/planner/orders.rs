//! What a storage node is told to rebuild, and what the metadata is told afterwards. Pure.
//!
//! Shards are made where their slot is written now: on `next` while it moves. What a row's debt
//! names may be a disk the slot has begun to leave since.

use std::collections::BTreeSet;

use bytes::Bytes;
use cairn_model::{ChunkId, Coding, DiskId, DomainId, Incarnation, Sha256};
use cairn_placement::{PartitionRow, PartitionTable};
use cairn_rpc::Rebuild;
use cairn_wire::metadata::entry::Command;
use cairn_wire::metadata::{Chunk, ClearSuspect, ClusterAnswer, Debt, MissingShards, SettleDebt};

use super::placement;

/// The cluster as orders need it.
#[derive(Clone, Debug)]
pub struct Seats {
    /// Where slots are.
    pub table: PartitionTable,
    /// Disks that never come back.
    pub lost: BTreeSet<DiskId>,
    /// Disks whose node answers.
    pub reachable: BTreeSet<DiskId>,
}

impl Seats {
    /// Reads a view; `None` before there is a table.
    #[must_use]
    pub fn read(cluster: &ClusterAnswer, reachable: BTreeSet<DiskId>) -> Option<Self> {
        Some(Self {
            table: placement::table(cluster)?,
            lost: placement::lost(cluster),
            reachable,
        })
    }
}

/// A chunk's row in types, and its partition's.
#[derive(Clone, Debug)]
pub struct Subject<'a> {
    chunk: ChunkId,
    incarnation: Incarnation,
    coding: Coding,
    table_digest: [u8; 16],
    partition: u32,
    row: &'a Chunk,
    place: &'a PartitionRow,
    seats: &'a Seats,
}

impl<'a> Subject<'a> {
    /// Reads a row; `None` where this version cannot.
    #[must_use]
    pub fn read(row: &'a Chunk, seats: &'a Seats) -> Option<Self> {
        let incarnation = Incarnation::from_bytes(&row.incarnation)?;
        let (partition, place) = seats.table.row_of(incarnation);
        Some(Self {
            chunk: ChunkId {
                domain: DomainId(row.domain),
                sha256: Sha256(row.sha256.as_ref().try_into().ok()?),
            },
            incarnation,
            coding: row.coding?.read()?,
            table_digest: row.table_digest.as_ref().try_into().ok()?,
            partition,
            row,
            place,
            seats,
        })
    }

    /// The chunk.
    #[must_use]
    pub fn chunk(&self) -> ChunkId {
        self.chunk
    }

    /// The partition its writing is in.
    #[must_use]
    pub fn partition(&self) -> u32 {
        self.partition
    }

    /// Whether the chunk has a shard in this slot.
    #[must_use]
    pub fn has(&self, slot: u8) -> bool {
        self.shards().any(|own| own == slot)
    }

    fn shards(&self) -> impl Iterator<Item = u8> + use<> {
        0..u8::try_from(self.coding.shards()).unwrap_or(u8::MAX)
    }

    fn home(&self, shard: u8) -> Option<DiskId> {
        let slot = self.place.slots.get(usize::from(shard))?;
        Some(slot.write_disk())
    }

    /// The shards that have to lie on one of `disks`, and on which: what is owed has not.
    #[must_use]
    pub fn on(&self, disks: &BTreeSet<DiskId>) -> BTreeSet<(u8, DiskId)> {
        let owed = |shard: u8| (self.row.debt.iter()).any(|debt| debt.shard == u32::from(shard));
        let there = |shard: u8| {
            let slot = self.place.slots.get(usize::from(shard))?;
            Some((shard, slot.current)).filter(|(_, disk)| disks.contains(disk))
        };
        let shards = self.shards().filter(|shard| !owed(*shard));
        shards.filter_map(there).collect()
    }

    /// The order to have one shard where its slot is written; `None` where that cannot be reached,
    /// or the chunk has no such shard.
    #[must_use]
    pub fn order(&self, shard: u8) -> Option<Rebuild> {
        let disk = self.home(shard)?;
        let here = self.seats.reachable.contains(&disk) && !self.seats.lost.contains(&disk);
        if !here || !self.has(shard) {
            return None;
        }
        Some(Rebuild {
            chunk: self.chunk,
            incarnation: self.incarnation,
            coding: self.coding,
            chunk_len: u64::from(self.row.length),
            table_digest: self.table_digest,
            shard,
            disk,
            epoch: self.place.epoch,
            sources: self.sources(shard, disk),
            thorough: self.row.suspect,
        })
    }

    /// Where shards may be read: the wanted one itself before the others, what answers before what
    /// does not. Never a lost disk, nor one that a debt says lacks its shard.
    fn sources(&self, wanted: u8, target: DiskId) -> Vec<(u8, DiskId)> {
        let mut sources: Vec<(u8, DiskId)> = Vec::new();
        for shard in self.shards() {
            let debt = (self.row.debt.iter()).find(|debt| debt.shard == u32::from(shard));
            let found = debt.and_then(|debt| placement::disk_id(&debt.found));
            let slot = self.place.slots.get(usize::from(shard));
            let usual = slot.filter(|_| debt.is_none()).into_iter();
            let disks = found
                .into_iter()
                .chain(usual.flat_map(|slot| slot.read_disks()));
            sources.extend(disks.map(|disk| (shard, disk)));
        }
        sources.retain(|(_, disk)| *disk != target && !self.seats.lost.contains(disk));
        sources
            .sort_by_key(|(shard, disk)| (!self.seats.reachable.contains(disk), *shard != wanted));
        sources
    }

    /// The shards to rebuild so that the chunk owes nothing: all of them where it is suspect.
    #[must_use]
    pub fn wanted(&self) -> Vec<u8> {
        let owed = |shard: &u8| (self.row.debt.iter()).any(|debt| debt.shard == u32::from(*shard));
        let wanted = self.shards();
        wanted
            .filter(|shard| self.row.suspect || owed(shard))
            .collect()
    }

    /// What is not where the row has it, given where shards of the writing were found; `None` where
    /// nothing is amiss. Of what is owed already only where it lies instead may be news.
    #[must_use]
    pub fn missing(&self, found: &BTreeSet<(u8, DiskId)>) -> Option<MissingShards> {
        let missing: Vec<Debt> = (self.shards())
            .filter_map(|shard| self.missing_shard(shard, found))
            .collect();
        (!missing.is_empty()).then(|| MissingShards {
            domain: self.row.domain,
            sha256: self.row.sha256.clone(),
            incarnation: self.row.incarnation.clone(),
            epoch: self.place.epoch,
            missing,
        })
    }

    fn missing_shard(&self, shard: u8, found: &BTreeSet<(u8, DiskId)>) -> Option<Debt> {
        let slot = self.place.slots.get(usize::from(shard))?;
        let home = slot.write_disk();
        let mut lies = found.iter().filter(|(own, _)| *own == shard);
        let instead = lies.clone().find(|(_, disk)| *disk != home);
        let instead = instead.map(|(_, disk)| *disk);
        let debt = (self.row.debt.iter()).find(|debt| debt.shard == u32::from(shard));
        let known = match debt.map(|debt| placement::disk_id(&debt.found)) {
            None => lies.any(|(_, disk)| slot.read_disks().any(|wanted| wanted == *disk)),
            Some(None) => instead.is_none(),
            Some(Some(disk)) => found.contains(&(shard, disk)),
        };
        (!known).then(|| Debt {
            shard: shard.into(),
            disk: Bytes::new(),
            found: instead.map_or_else(Bytes::new, |disk| Bytes::copy_from_slice(&disk.0)),
        })
    }

    /// What to propose once the shards in `good` were answered for.
    #[must_use]
    pub fn settle(&self, good: &BTreeSet<u8>) -> Vec<Command> {
        let is_good =
            |debt: &Debt| u8::try_from(debt.shard).is_ok_and(|shard| good.contains(&shard));
        let named = |debt: &Debt| Debt {
            found: Bytes::new(),
            ..debt.clone()
        };
        let owed = self.row.debt.iter();
        let paid: Vec<Debt> = owed.filter(|debt| is_good(debt)).map(named).collect();
        let all_paid = paid.len() == self.row.debt.len();
        let mut commands = Vec::new();
        if !paid.is_empty() {
            commands.push(Command::SettleDebt(SettleDebt {
                domain: self.row.domain,
                sha256: self.row.sha256.clone(),
                incarnation: self.row.incarnation.clone(),
                epoch: self.place.epoch,
                paid,
            }));
        }
        if self.row.suspect && all_paid && self.shards().all(|shard| good.contains(&shard)) {
            commands.push(Command::ClearSuspect(ClearSuspect {
                domain: self.row.domain,
                sha256: self.row.sha256.clone(),
                incarnation: self.row.incarnation.clone(),
                epoch: self.place.epoch,
                suspicions: self.row.suspicions,
            }));
        }
        commands
    }
}

#[cfg(test)]
mod tests;
