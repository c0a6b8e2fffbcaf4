//! What a node says of its disks. Nothing here waits for one: a disk that hangs must not keep its
//! node from saying that it is alive.

use cairn_model::DiskId;

use super::{OpenDisk, StorageNode};
use crate::settings::Drive;

/// How a disk is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiskState {
    /// It reads and writes.
    Ready,
    /// A write or a sync failed: it only reads until the node is started again.
    Failed(String),
    /// It could not be opened.
    NotOpened(String),
}

/// One of the node's disks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskStatus {
    /// Position in the list given to [`StorageNode::open`].
    pub position: usize,
    /// Its name, where it could be read.
    pub disk: Option<DiskId>,
    /// How it is.
    pub state: DiskState,
}

/// A disk and the room on it, for heartbeats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskReport {
    /// The disk.
    pub disk: DiskId,
    /// Bytes free for client writes, about a second ago; none on a failed disk.
    pub free: u64,
    /// Bytes in all.
    pub total: u64,
    /// How it is.
    pub state: DiskState,
    /// The generation before which it durably refuses writes.
    pub fenced: u16,
    /// Not 0 where it was opened after a crash, or without a segment: what rows name must be looked for.
    /// Another number after another such opening.
    pub doubt: u64,
}

impl OpenDisk {
    fn state(&self) -> DiskState {
        match self.volume.fault() {
            Some(fault) => DiskState::Failed(fault.to_owned()),
            None => DiskState::Ready,
        }
    }
}

impl StorageNode {
    /// All disks, in the order they were given.
    #[must_use]
    pub fn disks(&self) -> Vec<DiskStatus> {
        let mut all: Vec<DiskStatus> = self
            .unopened
            .iter()
            .map(|(position, why)| DiskStatus {
                position: *position,
                disk: None,
                state: DiskState::NotOpened(why.clone()),
            })
            .collect();
        all.extend(self.disks.iter().map(|(id, disk)| DiskStatus {
            position: disk.position,
            disk: Some(*id),
            state: disk.state(),
        }));
        all.sort_by_key(|status| status.position);
        all
    }

    /// The disks that are open, with the room that was last seen on them. Does no IO and waits for
    /// none (inline, where there is no caretaker to look, it looks).
    #[must_use]
    pub fn report(&self) -> Vec<DiskReport> {
        let report = |(id, disk): (&DiskId, &std::sync::Arc<OpenDisk>)| {
            let volume = &disk.volume;
            if volume.settings.drive == Drive::Inline {
                volume.look_at_room();
            }
            let (free, total) = volume.room_seen();
            let state = disk.state();
            DiskReport {
                disk: *id,
                free: if state == DiskState::Ready { free } else { 0 },
                total,
                state,
                fenced: volume.fenced(),
                doubt: volume.doubt,
            }
        };
        self.disks.iter().map(report).collect()
    }
}
