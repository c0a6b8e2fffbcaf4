//! Faults of disks.

use cairn_rpc::ShardFound;
use cairn_storage_node::DiskState;
use cairn_world::Disk as _;
use cairn_world::sim::{Fault, FaultOn, SeededRng, SimDisk};

use crate::cluster::Cluster;

const CAPACITY: u64 = 1 << 40;
const SEGMENTS: &str = "segments";
const JOURNAL: &str = "journal";
/// Bytes of a journal's file that are looked at for something to damage.
const JOURNAL_LOOK: u64 = 512 << 10;
const BLOCK: u64 = 4_096;

/// A place in the segments where something lies.
fn spot(disk: &SimDisk, random: &mut SeededRng) -> Option<(String, u64)> {
    let names = disk.list(SEGMENTS).ok()?;
    for _ in 0..200 {
        let name = format!("{SEGMENTS}/{}", random.pick(&names)?);
        let mut length = 8 << 20;
        while length > BLOCK && disk.peek(&name, length - 1, 1).is_err() {
            length /= 2;
        }
        // The early part of a segment is the fuller one.
        let below = 1 + random.below(length / BLOCK);
        let block = random.below(below) * BLOCK;
        let bytes = disk.peek(&name, block, BLOCK).ok()?;
        if bytes.iter().any(|byte| *byte != 0) {
            return Some((name, block));
        }
    }
    None
}

/// A few bits flip in each of some places.
pub(super) fn rot(cluster: &Cluster, id: u64, random: &mut SeededRng) -> bool {
    let Some(machine) = cluster.machines.get(&id) else {
        return false;
    };
    let mut done = false;
    for _ in 0..=random.below(24) {
        let Some((name, block)) = spot(&machine.shards, random) else {
            return done;
        };
        let bit = random.below(8) as u8;
        let at = block + random.below(BLOCK);
        machine.shards.flip(&name, at, bit).unwrap();
        done = true;
    }
    done
}

/// A bit of a voter's journal flips, where something lies.
pub(super) fn rot_journal(cluster: &Cluster, id: u64, random: &mut SeededRng) -> bool {
    let voter = cluster
        .machines
        .get(&id)
        .and_then(|machine| machine.voter.as_ref());
    let Some(voter) = voter else {
        return false;
    };
    let Ok(names) = voter.disk.list(JOURNAL) else {
        return false;
    };
    for _ in 0..200 {
        let Some(name) = random.pick(&names) else {
            return false;
        };
        let name = format!("{JOURNAL}/{name}");
        let offset = random.below(JOURNAL_LOOK);
        if voter
            .disk
            .peek(&name, offset, 1)
            .is_ok_and(|byte| byte != [0])
        {
            let bit = random.below(8) as u8;
            return voter.disk.flip(&name, offset, bit).is_ok();
        }
    }
    false
}

/// What was written to one block lies on another.
pub(super) fn misdirect(cluster: &Cluster, id: u64, random: &mut SeededRng) -> bool {
    let Some(machine) = cluster.machines.get(&id) else {
        return false;
    };
    let disk = &machine.shards;
    let (Some(from), Some(to)) = (spot(disk, random), spot(disk, random)) else {
        return false;
    };
    let bytes = disk.peek(&from.0, from.1, BLOCK).unwrap();
    disk.poke(&to.0, to.1, &bytes).unwrap();
    from != to
}

/// What lies on the disk of a running node.
pub(super) fn inventory(cluster: &Cluster, id: u64) -> Option<Vec<ShardFound>> {
    let node = cluster.nodes.get(&id)?;
    node.storage.inventory(node.disk, None, usize::MAX).ok()
}

/// Little room is left, or none.
pub(super) fn fill(cluster: &Cluster, id: u64, random: &mut SeededRng) -> bool {
    let Some(machine) = cluster.machines.get(&id) else {
        return false;
    };
    let Ok(space) = machine.shards.space() else {
        return false;
    };
    let used = space.total - space.free;
    machine.shards.set_capacity(used + random.below(40 << 20));
    true
}

/// As much room as ever.
pub(super) fn give_room(cluster: &Cluster, id: u64) {
    if let Some(machine) = cluster.machines.get(&id) {
        machine.shards.set_capacity(CAPACITY);
    }
}

/// Some call to the data disk fails soon.
pub(super) fn fail_shards(cluster: &Cluster, id: u64, random: &mut SeededRng) -> bool {
    let Some(machine) = cluster.machines.get(&id) else {
        return false;
    };
    let on = [
        FaultOn::Read,
        FaultOn::Write,
        FaultOn::Sync,
        FaultOn::SyncDir,
    ];
    let on = random.pick(&on).copied().unwrap_or(FaultOn::Read);
    let mut fault = Fault::new(on).nth(1 + random.below(20));
    if random.chance(1, 2) {
        fault = fault.lasting();
    }
    machine.shards.inject(fault);
    true
}

/// Some call to a voter's disk fails soon.
pub(super) fn fail_journal(cluster: &Cluster, id: u64, random: &mut SeededRng) -> bool {
    let voter = cluster
        .machines
        .get(&id)
        .and_then(|machine| machine.voter.as_ref());
    let Some(voter) = voter else {
        return false;
    };
    let on = [FaultOn::Write, FaultOn::Sync, FaultOn::SyncDir];
    let on = random.pick(&on).copied().unwrap_or(FaultOn::Sync);
    voter.disk.inject(Fault::new(on).nth(1 + random.below(10)));
    true
}

/// A disk or the replica of the node has given up: only a new start helps.
pub(super) fn has_failed(cluster: &Cluster, id: u64) -> bool {
    let Some(node) = cluster.nodes.get(&id) else {
        return false;
    };
    let ready = |state: &DiskState| *state == DiskState::Ready;
    let metadata = node.metadata.as_ref();
    let failure = metadata.and_then(|metadata| metadata.host().metrics().failure);
    failure.is_some() || node.storage.disks().iter().any(|disk| !ready(&disk.state))
}
