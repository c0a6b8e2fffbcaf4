//! The first table of a cluster, and the moves from one view to the next.

use std::collections::BTreeSet;

use cairn_model::{DiskId, limits};

use crate::board::{Board, BoardRow, Seat};
use crate::table::{PartitionRow, PartitionTable, Slot};
use crate::topology::{Candidate, DomainLevel, Place, Topology};

/// Why there is no plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlacementError {
    /// Add disks in more failure domains, or choose a smaller coding.
    #[error(
        "rows of {need} shards need {need} {level}s that take data, the view has {have} \
         ({leaving} more are leaving): {} missing", need - have
    )]
    TooFewDomains {
        /// What must differ.
        level: DomainLevel,
        /// Domains needed: slots of a row.
        need: usize,
        /// Domains with weight.
        have: usize,
        /// Domains of weight 0.
        leaving: usize,
    },
    /// The view names a disk twice.
    #[error("disk {0} is in the view twice")]
    Repeated(DiskId),
    /// The caller asked for what no table can be.
    #[error("no table has 2^{bits} rows of {slots} slots")]
    Shape {
        /// log2 of the number of partitions.
        bits: u32,
        /// Slots of a row.
        slots: usize,
    },
}

/// Why a slot moves; moves are planned in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MoveReason {
    /// Its disk is not in the view or has weight 0.
    Leaving,
    /// Another slot of the row is in the same failure domain.
    Separation,
    /// Its disk holds more than its share.
    Balance,
}

/// One slot is to move. Begin it with [`PartitionTable::begin`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Move {
    /// Why.
    pub reason: MoveReason,
    /// The partition.
    pub partition: u32,
    /// The slot, which is the shard index.
    pub slot: u8,
    /// Where it is.
    pub from: DiskId,
    /// Where it goes.
    pub to: DiskId,
}

/// The table of a new cluster: `2^bits` rows of `slots` disks in distinct domains, each disk with
/// its share by weight.
///
/// # Errors
/// `TooFewDomains`, `Repeated`; `Shape` for bits or slots out of bounds.
pub fn first_table(
    view: &[Candidate],
    level: DomainLevel,
    bits: u32,
    slots: usize,
    seed: u64,
) -> Result<PartitionTable, PlacementError> {
    let shape = PlacementError::Shape { bits, slots };
    let bits_fit = (1..=limits::PARTITION_BITS_MAX).contains(&bits);
    if !bits_fit || slots == 0 || slots > limits::SHARDS_MAX as usize {
        return Err(shape);
    }
    let topology = Topology::new(view, level, slots)?;
    let hole = BoardRow {
        seats: vec![Seat::Empty; slots],
        left: Vec::new(),
    };
    let mut board = Board::new(&topology, vec![hole; 1 << bits], seed);
    board.fill();
    board.settle();
    let rows = board.into_rows();
    let rows = rows.iter().map(|row| PartitionRow {
        epoch: 1,
        slots: (row.seats.iter())
            .filter_map(|seat| seat_disk(&topology, *seat).map(Slot::at))
            .collect(),
    });
    PartitionTable::new(1, bits, rows.collect()).map_err(|_| shape)
}

/// The moves that bring a table in line with a changed view: everything off disks that leave,
/// one slot per domain in each row, every disk within a few percent of its share, and nothing else.
///
/// The view is the membership, not who is up: a disk that is only down must stay in it with its
/// weight, or all it holds is planned away.
///
/// The moves can be begun in any order and any number at a time: no row ever has two write disks in
/// one domain on the way. Rows with a move under way are left alone but for slots on leaving disks;
/// what has to wait is planned the next time, once those moves have ended. So plan again after
/// cut-overs until no move comes out.
///
/// # Errors
/// `TooFewDomains` and `Repeated`.
pub fn plan_moves(
    view: &[Candidate],
    level: DomainLevel,
    table: &PartitionTable,
    seed: u64,
) -> Result<Vec<Move>, PlacementError> {
    let topology = Topology::new(view, level, table.slots())?;
    let opened = (table.rows().iter())
        .map(|row| open_row(&topology, row))
        .collect();
    let mut board = Board::new(&topology, opened, seed);
    board.fill();
    board.settle();
    let planned = board.into_rows();
    let mut moves: Vec<Move> = (0_u32..)
        .zip(table.rows().iter().zip(&planned))
        .flat_map(|(partition, (row, planned))| row_moves(&topology, partition, row, planned))
        .collect();
    moves.sort_unstable();
    Ok(moves)
}

/// A row of the table with holes where a slot must move.
fn open_row(topology: &Topology, row: &PartitionRow) -> BoardRow {
    let mut opened = BoardRow::default();
    let mut domains = BTreeSet::new();
    for slot in row.slots.iter().filter(|slot| slot.next.is_some()) {
        let target = topology.place(slot.write_disk());
        domains.extend(target.and_then(|place| topology.domain(place)));
        opened.left.extend(topology.place(slot.current));
    }
    for slot in &row.slots {
        let place = topology.place(slot.write_disk());
        let usable = place.filter(|place| topology.takes(*place));
        let seat = match usable {
            _ if slot.next.is_some() => Seat::Pinned(place),
            Some(place) if topology.domain(place).is_some_and(|d| domains.insert(d)) => {
                Seat::Held(place)
            }
            _ => Seat::Empty,
        };
        opened.seats.push(seat);
    }
    opened
}

fn seat_disk(topology: &Topology, seat: Seat) -> Option<DiskId> {
    match seat {
        Seat::Held(place) => topology.disk(place),
        Seat::Empty | Seat::Pinned(_) => None,
    }
}

/// The moves of one row. A chain may have passed a disk from slot to slot; what counts is which
/// disks come and which go. Disks that stay keep their slots, and a disk that comes takes the slot
/// of one in its own domain where there is one: so each move alone keeps the row's domains apart.
fn row_moves(
    topology: &Topology,
    partition: u32,
    row: &PartitionRow,
    planned: &BoardRow,
) -> Vec<Move> {
    let domain = |disk: DiskId| {
        topology
            .place(disk)
            .and_then(|place| topology.domain(place))
    };
    let now: BTreeSet<DiskId> = planned
        .seats
        .iter()
        .filter_map(|s| seat_disk(topology, *s))
        .collect();
    let at_rest = || {
        (0_u8..)
            .zip(&row.slots)
            .filter(|(_, slot)| slot.next.is_none())
    };
    let mut coming = now.clone();
    for (_, slot) in at_rest() {
        coming.remove(&slot.current);
    }
    let going: Vec<(u8, DiskId)> = at_rest()
        .filter(|(_, slot)| !now.contains(&slot.current))
        .map(|(number, slot)| (number, slot.current))
        .collect();
    let in_place = |(_, from): &(u8, DiskId), coming: &BTreeSet<DiskId>| {
        coming
            .iter()
            .copied()
            .find(|to| domain(*from).is_some() && domain(*to) == domain(*from))
    };
    let mut moves = Vec::new();
    let mut others = Vec::new();
    for slot in going {
        match in_place(&slot, &coming) {
            Some(to) => {
                coming.remove(&to);
                moves.push((slot, to));
            }
            None => others.push(slot),
        }
    }
    // Slots that must move come before those that move for balance: a hole may have stayed open.
    others.sort_by_key(|(_, from)| reason(topology, row, *from));
    moves.extend(others.into_iter().zip(coming));
    (moves.into_iter())
        .map(|((slot, from), to)| Move {
            reason: reason(topology, row, from),
            partition,
            slot,
            from,
            to,
        })
        .collect()
}

/// Why a disk goes from a row.
fn reason(topology: &Topology, row: &PartitionRow, from: DiskId) -> MoveReason {
    let domain = |place: Place| topology.domain(place);
    let place = topology.place(from).filter(|place| topology.takes(*place));
    let Some(from_domain) = place.and_then(domain) else {
        return MoveReason::Leaving;
    };
    let shared = (row.slots.iter().map(|slot| slot.write_disk()))
        .filter(|disk| topology.place(*disk).and_then(domain) == Some(from_domain))
        .count();
    if shared > 1 {
        MoveReason::Separation
    } else {
        MoveReason::Balance
    }
}

#[cfg(test)]
mod tests;
